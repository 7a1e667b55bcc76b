/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Types, what a program is written with, and the kernel's constants. */
#ifndef WAYMARK_KERNEL_CONSTANTS_H
#define WAYMARK_KERNEL_CONSTANTS_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __kfunc_if_there __attribute__((section(".ksyms"), weak))
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define bpf_ntohs(x) ((__u16)__builtin_bswap16((__u16)(x)))
#define bpf_htons(x) bpf_ntohs(x)
#define bpf_ntohl(x) ((__u32)__builtin_bswap32((__u32)(x)))

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_MMAPABLE = 1U << 10,
	BPF_F_INNER_MAP = 1U << 12,
	BPF_NOEXIST = 1,
	BPF_F_RECOMPUTE_CSUM = 1U << 0,
	BPF_F_PSEUDO_HDR = 1U << 4,
	BPF_F_MARK_MANGLED_0 = 1U << 5,
	BPF_SK_STORAGE_GET_F_CREATE = 1ULL << 0,
};

enum { AF_INET = 2, AF_INET6 = 10 };
enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3 };
enum { SOL_SOCKET = 1, SO_MARK = 36, SO_BINDTOIFINDEX = 62 };
enum {
	IPPROTO_HOPOPTS = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_DCCP = 33,
	IPPROTO_ROUTING = 43,
	IPPROTO_FRAGMENT = 44,
	IPPROTO_AH = 51,
	IPPROTO_DSTOPTS = 60,
	IPPROTO_SCTP = 132,
	IPPROTO_IGMP = 2,
	IPPROTO_ICMPV6 = 58,
	IPPROTO_MH = 135,
	IPPROTO_UDPLITE = 136,
	IPPROTO_RAW = 255,
	IPPROTO_MPTCP = 262,
};

enum { ETH_P_IP = 0x0800, ETH_P_IPV6 = 0x86dd, ETH_P_8021Q = 0x8100, ETH_P_8021AD = 0x88a8 };
enum { VLAN_ID = 0x0fff }; /* in a tag; 0 is a priority alone */
enum { BPF_HDR_START_NET = 1 };
enum { TC_PRIO_CONTROL = 7 };
enum { TC_ACT_SHOT = 2, TC_ACT_REDIRECT = 7 };
enum { TCP_SYN_SENT = 2, TCP_SYN_RECV = 3, TCP_CLOSE = 7 };
enum {
	EPERM = 1,
	EINTR = 4,
	EAGAIN = 11,
	EACCES = 13,
	EPIPE = 32,
	EMSGSIZE = 90,
	ENETDOWN = 100,
	ENETUNREACH = 101,
	ECONNRESET = 104,
	ENOBUFS = 105,
	ETIMEDOUT = 110,
	ECONNREFUSED = 111,
	EHOSTUNREACH = 113,
	ERESTARTSYS = 512,
};

#endif
