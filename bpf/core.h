/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the helpers do not tell of a socket, read from the kernel's own
 * structures. Offsets are put right at load, from the kernel's BTF.
 */
#ifndef WAYMARK_CORE_H
#define WAYMARK_CORE_H

#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	__u32 val;
} kuid_t;

struct kernfs_node {
	__u64 id;
	const char *name;
};

struct cgroup_root {
	int hierarchy_id; /* 0: cgroup2 */
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
	struct cgroup *ancestors[];
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct in6_addr {
	union {
		__u32 u6_addr32[4];
	} in6_u;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct net {
	struct hlist_head *dev_index_head;
	__u64 net_cookie;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	unsigned int flags;
	unsigned long state;
	int ifindex;
	struct hlist_node index_hlist;
	possible_net_t nd_net;
};

struct dst_entry {
	struct net_device *dev;
};

struct sock_common {
	possible_net_t skc_net;
	__u16 skc_family;
	volatile __u8 skc_state;
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport; /* network byte order */
	__u16 skc_num;
	int skc_bound_dev_if;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct inode {
	unsigned long i_ino;
};

struct socket {
	short type;
};

/* A socket and the inode by which a process's descriptors name it are one allocation. */
struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	__u8 sk_userlocks;
	__u8 sk_kern_sock : 1;
	__u16 sk_type;
	__u16 sk_protocol;
	__u32 sk_mark;
	int sk_err;
	struct dst_entry *sk_dst_cache;
	kuid_t sk_uid;
	struct sock_cgroup_data sk_cgrp_data;
	void *sk_bpf_storage;
};

struct inet_connection_sock {
	void *icsk_ulp_data;
};

struct tcp_sock {
	__u8 is_mptcp : 1;
};

struct mptcp_subflow_context {
	__u32 request_join : 1;
	struct sock *conn;
};

struct rt6key {
	int plen;
};

struct fib6_table {
	__u32 tb6_id;
};

struct fib6_info {
	struct fib6_table *fib6_table;
	struct rt6key fib6_dst;
};

struct rt6_info {
	struct fib6_info *from;
};

struct rtable {
	unsigned int rt_flags;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst; /* a struct dst_entry, with a flag in the lowest bit */
	__u16 tc_index;
	__u32 mark;
	__u16 network_header;
	__u16 inner_network_header;
};

struct bpf_sock_ops_kern {
	struct sock *sk;
};

#pragma clang attribute pop

/* What an application chose when it bound a socket. */
enum { SOCK_BINDADDR_LOCK = 4, SOCK_BINDPORT_LOCK = 8 };

static long (*const bpf_probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;

#define READ(to, from) bpf_probe_read_kernel(&(to), sizeof(to), &(from))

/*
 * The kernel's own structure behind a program's context, whose fields are read
 * without a call. Kernels before 6.2 lack it, and are asked by helpers.
 */
extern void *bpf_cast_to_kern_ctx(void *ctx) __kfunc_if_there;

enum { TCP_TIME_WAIT = 6, TCP_NEW_SYN_RECV = 12 };

/* Whether a socket is one at all: those of connections that begin or are over are less, and end early. */
static __always_inline int is_full(const struct sock *sk)
{
	__u8 state = sk->__sk_common.skc_state;

	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/* A pointer as a number: the verifier lets nobody calculate with a bpf_sock, but a copy of one is anybody's. */
static __always_inline __u64 address_of(const void *pointer)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &pointer);
	return address;
}

/* What may be asked of __builtin_preserve_field_info. The shifts get a field alone that is bits of another. */
enum { BYTE_OFFSET = 0, BYTE_SIZE = 1, FIELD_EXISTS = 2, LEFT_SHIFT = 4, RIGHT_SHIFT = 5 };
#define FIELD_INFO(field, what) __builtin_preserve_field_info(field, what)

/* A field that is some bits of a byte on some kernels (6.1), a byte or more on others. */
#define READ_BITS(object, field)                                                                             \
	({                                                                                                   \
		__u64 bits = 0;                                                                              \
		bpf_probe_read_kernel(&bits, FIELD_INFO((object)->field, BYTE_SIZE),                         \
				      (const char *)(object) + FIELD_INFO((object)->field, BYTE_OFFSET));    \
		bits << FIELD_INFO((object)->field, LEFT_SHIFT) >> FIELD_INFO((object)->field, RIGHT_SHIFT); \
	})

static struct tcp_sock *(*const bpf_skc_to_tcp_sock)(void *sk) = (void *)137;

/* The network namespace's cookie of a socket, read by calls: any socket's can be. */
static __noinline __u64 cookie_of_any(struct bpf_sock *sk)
{
	const struct sock *kernel_sk = (const struct sock *)address_of(sk);
	const struct net *net = 0;
	__u64 cookie = 0;

	READ(net, kernel_sk->__sk_common.skc_net.net);
	READ(cookie, net->net_cookie);
	return cookie;
}

/* The same for a socket whose helpers do not tell. TCP's structures can be read without a call. */
static __always_inline __u64 cookie_of_netns(struct bpf_sock *sk)
{
	const struct sock *tcp = (const struct sock *)bpf_skc_to_tcp_sock(sk);

	return tcp ? tcp->__sk_common.skc_net.net->net_cookie : cookie_of_any(sk);
}

/* The socket that a packet is of; all zero: none, or one of a connection that begins or is over. */
struct owner {
	__u32 type;
	__u32 mark;
	__u32 noted; /* whether there may be a note of it */
};

static __always_inline struct owner owner_by_call(struct bpf_sock *sk)
{
	if (sk)
		sk = bpf_sk_fullsock(sk);
	return sk ? (struct owner){sk->type, sk->mark, 1} : (struct owner){};
}

static __always_inline struct owner owner_of(struct __sk_buff *skb)
{
	if (!bpf_cast_to_kern_ctx)
		return owner_by_call(skb->sk);
	const struct sk_buff *kernel_skb = bpf_cast_to_kern_ctx(skb);
	const struct sock *sk = kernel_skb->sk;
	if (!sk || !is_full(sk))
		return (struct owner){};
	return (struct owner){sk->sk_type, sk->sk_mark, !!sk->sk_bpf_storage};
}

/* The network namespace's cookie of a packet's full socket. */
static __always_inline __u64 cookie_of_owner(struct __sk_buff *skb)
{
	if (bpf_cast_to_kern_ctx) {
		const struct sk_buff *kernel_skb = bpf_cast_to_kern_ctx(skb);
		const struct sock *owner = kernel_skb->sk;
		return owner ? owner->__sk_common.skc_net.net->net_cookie : 0;
	}
	struct bpf_sock *sk = skb->sk;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	return sk ? cookie_of_netns(sk) : 0;
}

static __always_inline __u8 locks_at(const struct sock *kernel_sk)
{
	return READ_BITS(kernel_sk, sk_userlocks);
}

static __always_inline __u8 socket_locks(struct bpf_sock *sk)
{
	return locks_at((const struct sock *)address_of(sk));
}

/* The id of a cgroup's ancestor at a level; 0: it lies less deep. */
static __always_inline __u64 ancestor_id(const struct cgroup *cgroup, int level)
{
	const struct cgroup *ancestor = 0;
	const struct kernfs_node *node = 0;
	__u64 id = 0;
	int deepest = 0;

	READ(deepest, cgroup->level);
	if (level > deepest)
		return 0;
	bpf_probe_read_kernel(&ancestor, sizeof(ancestor), (const char *)&cgroup->ancestors[0] + level * sizeof(ancestor));
	READ(node, ancestor->kn);
	READ(id, node->id);
	return id;
}

/* Whether a socket is the kernel's own: that of its ICMP, say. */
static __always_inline int is_kernels(struct bpf_sock *sk)
{
	const struct sock *kernel_sk = (const struct sock *)address_of(sk);

	return READ_BITS(kernel_sk, sk_kern_sock);
}

enum { IFF_UP = 1, LINK_STATE_NOCARRIER = 2, NETDEV_HASHENTRIES = 256, MAX_COLLISIONS = 16 };

/*
 * Whether an interface of a socket's network namespace is up and has a
 * carrier, at this moment and with nobody watching. An interface that is
 * gone is not up; a kernel that keeps them otherwise is not asked.
 */
static __noinline int link_is_up(struct bpf_sock *sk, __u32 ifindex)
{
	const struct sock *kernel_sk = (const struct sock *)address_of(sk);
	const struct hlist_node *node = 0;
	const struct hlist_head *heads = 0;
	const struct net *net = 0;

	if (!__builtin_preserve_field_info(net->dev_index_head, FIELD_EXISTS))
		return 1;
	bpf_probe_read_kernel(&net, sizeof(net), &kernel_sk->__sk_common.skc_net.net);
	bpf_probe_read_kernel(&heads, sizeof(heads), &net->dev_index_head);
	bpf_probe_read_kernel(&node, sizeof(node), &heads[ifindex % NETDEV_HASHENTRIES].first);
	for (int i = 0; i < MAX_COLLISIONS && node; i++) {
		const struct net_device *device = 0;
		unsigned long state = 0;
		unsigned int flags = 0;
		__u32 index = 0;

		device = (const void *)node - __builtin_preserve_field_info(device->index_hlist, BYTE_OFFSET);
		bpf_probe_read_kernel(&index, sizeof(index), &device->ifindex);
		if (index == ifindex) {
			bpf_probe_read_kernel(&flags, sizeof(flags), &device->flags);
			bpf_probe_read_kernel(&state, sizeof(state), &device->state);
			return flags & IFF_UP && !(state >> LINK_STATE_NOCARRIER & 1);
		}
		bpf_probe_read_kernel(&node, sizeof(node), &node->next);
	}
	return 0;
}

/*
 * Whether a packet is a tunnel's, around another whose socket and mark it
 * still has. One that came out of a tunnel remembers the header that is now
 * its own.
 */
static __always_inline int is_tunnels(struct __sk_buff *skb)
{
	const struct sk_buff *kernel_skb = (const struct sk_buff *)address_of(skb);
	__u16 outer = 0, inner = 0;

	bpf_probe_read_kernel(&outer, sizeof(outer), &kernel_skb->network_header);
	bpf_probe_read_kernel(&inner, sizeof(inner), &kernel_skb->inner_network_header);
	return inner > outer;
}

static __always_inline unsigned long route_of(struct __sk_buff *skb)
{
	const struct sk_buff *kernel_skb = (const struct sk_buff *)address_of(skb);
	unsigned long reference = 0;

	bpf_probe_read_kernel(&reference, sizeof(reference), &kernel_skb->_skb_refdst);
	return reference & ~1UL;
}

enum { RTCF_BROADCAST = 0x10000000 };

/* Whether an IPv4 packet goes to all on a link, as its route has it. */
static __always_inline int is_broadcast(struct __sk_buff *skb)
{
	const struct rtable *route = (const struct rtable *)route_of(skb);
	unsigned int flags = 0;

	bpf_probe_read_kernel(&flags, sizeof(flags), &route->rt_flags);
	return !!(flags & RTCF_BROADCAST);
}

enum { TABLE_MAIN = 254 };

/*
 * Whether an IPv6 packet left by a route of main that is more than its
 * default. Its route has to be looked at itself: bpf_fib_lookup takes no
 * notice of suppress_prefixlength for IPv6 (fib6_rule_suppress wants a
 * rt6_info, and the lookup has none).
 */
static __always_inline int left_by_more_than_default(struct __sk_buff *skb)
{
	const struct rt6_info *route = (const struct rt6_info *)route_of(skb);
	const struct fib6_info *from = 0;
	const struct fib6_table *table = 0;
	__u32 id = 0;
	int plen = 0;

	if (!route)
		return 0;
	bpf_probe_read_kernel(&from, sizeof(from), &route->from);
	bpf_probe_read_kernel(&table, sizeof(table), &from->fib6_table);
	bpf_probe_read_kernel(&id, sizeof(id), &table->tb6_id);
	bpf_probe_read_kernel(&plen, sizeof(plen), &from->fib6_dst.plen);
	return id == TABLE_MAIN && plen > 0;
}
#endif
