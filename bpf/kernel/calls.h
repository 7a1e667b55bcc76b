/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's functions that several parts call, by their numbers, and what they take. */
#ifndef WAYMARK_KERNEL_CALLS_H
#define WAYMARK_KERNEL_CALLS_H

#include "contexts.h"

/* bpf_fib_lookup: flags, answers, and the question, which becomes the answer. */
enum {
	BPF_FIB_LOOKUP_DIRECT = 1U << 0,
	BPF_FIB_LOOKUP_SKIP_NEIGH = 1U << 2,
	BPF_FIB_LOOKUP_TBID = 1U << 3,
	BPF_FIB_LOOKUP_MARK = 1U << 5,
};
enum {
	BPF_FIB_LKUP_RET_SUCCESS = 0,
	BPF_FIB_LKUP_RET_BLACKHOLE = 1,
	BPF_FIB_LKUP_RET_UNREACHABLE = 2,
	BPF_FIB_LKUP_RET_PROHIBIT = 3,
	BPF_FIB_LKUP_RET_NOT_FWDED = 4,
};

struct bpf_fib_lookup {
	__u8 family;
	__u8 l4_protocol;
	__u16 sport;
	__u16 dport;
	__u16 tot_len;
	__u32 ifindex;
	__u8 tos; /* of IPv4; with what follows an answer's metric */
	__u8 : 8;
	__u16 : 16;
	__u32 src[4];	/* IPv4 uses the first word; network byte order, as all addresses here */
	__u32 dst[4];	/* answer: the next hop */
	__u32 table; /* with BPF_FIB_LOOKUP_TBID; a VLAN tag in an answer */
	__u32 mark; /* with BPF_FIB_LOOKUP_MARK; MAC addresses in an answer */
	__u32 : 32;
	__u32 : 32;
};
_Static_assert(sizeof(struct bpf_fib_lookup) == 64, "as the kernel has it");

struct bpf_redir_neigh {
	__u32 nh_family;
	__u32 nh[4]; /* network byte order; IPv4 uses the first */
};

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_skb_store_bytes)(void *skb, __u32 offset, const void *from, __u32 len, __u64 flags) = (void *)9;
static long (*const bpf_l3_csum_replace)(void *skb, __u32 offset, __u64 from, __u64 to, __u64 flags) = (void *)10;
static long (*const bpf_l4_csum_replace)(void *skb, __u32 offset, __u64 from, __u64 to, __u64 flags) = (void *)11;
static __u64 (*const bpf_get_current_uid_gid)(void) = (void *)15;
static long (*const bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to, __u32 len) = (void *)26;
static __s64 (*const bpf_csum_diff)(__u32 *from, __u32 from_size, __u32 *to, __u32 to_size, __u32 seed) = (void *)28;
static __s64 (*const bpf_csum_update)(struct __sk_buff *skb, __u32 difference) = (void *)40;
static __u64 (*const bpf_get_socket_cookie)(void *sk) = (void *)46;
static __u32 (*const bpf_get_socket_uid)(void *skb) = (void *)47;
static long (*const bpf_setsockopt)(void *ctx, int level, int name, void *value, int len) = (void *)49;
static long (*const bpf_sock_ops_cb_flags_set)(struct bpf_sock_ops *ctx, int flags) = (void *)59;
static long (*const bpf_skb_load_bytes_relative)(const void *skb, __u32 offset, void *to, __u32 len, __u32 start) = (void *)68;
static long (*const bpf_fib_lookup)(void *ctx, struct bpf_fib_lookup *params, int plen, __u32 flags) = (void *)69;
static __u64 (*const bpf_skb_ancestor_cgroup_id)(struct __sk_buff *skb, int level) = (void *)83;
static struct bpf_sock *(*const bpf_sk_fullsock)(struct bpf_sock *sk) = (void *)95;
static void *(*const bpf_sk_storage_get)(void *map, void *sk, void *value, __u64 flags) = (void *)107;
static __u64 (*const bpf_get_netns_cookie)(void *ctx) = (void *)122;
static __u64 (*const bpf_get_current_ancestor_cgroup_id)(int level) = (void *)123;
static long (*const bpf_seq_write)(struct seq_file *seq, const void *data, __u32 len) = (void *)127;
static long (*const bpf_redirect_neigh)(__u32 ifindex, struct bpf_redir_neigh *params, int plen, __u64 flags) = (void *)152;
static __u64 (*const bpf_ktime_get_coarse_ns)(void) = (void *)160;
static long (*const bpf_loop)(__u32 times, void *callback, void *ctx, __u64 flags) = (void *)181;

#endif
