/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the helpers do not tell of a socket, read from the kernel's own
 * structures.
 */
#ifndef WAYMARK_CORE_H
#define WAYMARK_CORE_H

#include "btf.h"

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
	__u32 connected;
};

/* The port is read apart: the compiler would read it and the kernel's own by one computed pointer, which the verifier refuses. */
static __always_inline struct owner owner_by_call(struct bpf_sock *sk)
{
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk)
		return (struct owner){};
	return (struct owner){sk->type, sk->mark, 1, *(volatile __u16 *)&sk->dst_port};
}

static __always_inline struct owner owner_of(struct __sk_buff *skb)
{
	if (!bpf_cast_to_kern_ctx)
		return owner_by_call(skb->sk);
	const struct sk_buff *kernel_skb = bpf_cast_to_kern_ctx(skb);
	const struct sock *sk = kernel_skb->sk;
	if (!sk || !is_full(sk))
		return (struct owner){};
	return (struct owner){sk->sk_type, sk->sk_mark, !!sk->sk_bpf_storage, sk->__sk_common.skc_dport};
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

/* As unicast_device, by the kernel's address of a socket of the internet. */
__noinline __u32 unicast_device_of(__u64 socket, __u32 family)
{
	const struct inet_sock *inet = (const struct inet_sock *)socket;
	const struct ipv6_pinfo *six = 0;
	int device = 0;

	if (family == AF_INET) {
		READ(device, inet->uc_index);
		return device;
	}
	READ(six, inet->pinet6);
	READ(device, six->sticky_pktinfo.ipi6_ifindex);
	if (!device)
		READ(device, six->ucast_oif);
	return device;
}

/* The interface that an application has all leave by that its datagram socket sends in a family (IP_UNICAST_IF, or IPV6_PKTINFO of the socket, which goes before); 0: none. */
static __always_inline __u32 unicast_device(struct bpf_sock *sk, __u32 family)
{
	if (sk->type == SOCK_STREAM || (sk->family != AF_INET && sk->family != AF_INET6))
		return 0;
	return unicast_device_of(address_of(sk), family);
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

enum { RP_FILTER = 7 };
enum { IFF_UP = 1, LINK_STATE_NOCARRIER = 2, NETDEV_HASHENTRIES = 256, MAX_COLLISIONS = 16 };

/* The address of an interface of a socket's network namespace; 0: it is gone. */
__noinline __u64 device_at(__u64 socket, __u32 ifindex)
{
	const struct sock *kernel_sk = (const struct sock *)socket;
	const struct hlist_node *node = 0;
	const struct hlist_head *heads = 0;
	const struct net *net = 0;

	if (!FIELD_INFO(net->dev_index_head, FIELD_EXISTS))
		return 0;
	READ(net, kernel_sk->__sk_common.skc_net.net);
	READ(heads, net->dev_index_head);
	READ(node, heads[ifindex % NETDEV_HASHENTRIES].first);
	for (int i = 0; i < MAX_COLLISIONS && node; i++) {
		const struct net_device *device = 0;
		__u32 index = 0;

		device = (const void *)node - FIELD_INFO(device->index_hlist, BYTE_OFFSET);
		READ(index, device->ifindex);
		if (index == ifindex)
			return (__u64)device;
		READ(node, node->next);
	}
	return 0;
}

/*
 * Whether an interface of a socket's network namespace is up and has a
 * carrier, at this moment and with nobody watching. An interface that is
 * gone is not up; a kernel that keeps them otherwise is not asked.
 */
__noinline int link_is_up(__u64 socket, __u32 ifindex)
{
	const struct net *net = 0;
	unsigned long state = 0;
	unsigned int flags = 0;

	if (!FIELD_INFO(net->dev_index_head, FIELD_EXISTS))
		return 1;
	const struct net_device *device = (const struct net_device *)device_at(socket, ifindex);
	if (!device)
		return 0;
	READ(flags, device->flags);
	READ(state, device->state);
	return flags & IFF_UP && !(state >> LINK_STATE_NOCARRIER & 1);
}

/* Whether an interface drops what comes in from where it would not answer by it (a strict rp_filter, of its own or for all). */
static __always_inline int filters_strictly(__u64 socket, __u32 ifindex)
{
	const struct net_device *device = (const struct net_device *)device_at(socket, ifindex);
	const struct ipv4_devconf *all = 0;
	const struct in_device *in = 0;
	const struct net *net = 0;
	int own = 0, any = 0;

	READ(net, device->nd_net.net);
	READ(all, net->ipv4.devconf_all);
	READ(in, device->ip_ptr);
	READ(own, in->cnf.data[RP_FILTER]);
	READ(any, all->data[RP_FILTER]);
	return (own > any ? own : any) == 1;
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
 * How many bits of its destination the route of an IPv6 packet names, if it is
 * one of main: 0 is main's default; -1: it is none of main. The route has to be
 * looked at itself: bpf_fib_lookup takes no notice of suppress_prefixlength for
 * IPv6 (fib6_rule_suppress wants a rt6_info, and the lookup has none).
 */
static __always_inline int bits_in_main(struct __sk_buff *skb)
{
	const struct rt6_info *route = (const struct rt6_info *)route_of(skb);
	const struct fib6_info *from = 0;
	const struct fib6_table *table = 0;
	__u32 id = 0;
	int plen = 0;

	if (!route)
		return -1;
	bpf_probe_read_kernel(&from, sizeof(from), &route->from);
	bpf_probe_read_kernel(&table, sizeof(table), &from->fib6_table);
	bpf_probe_read_kernel(&id, sizeof(id), &table->tb6_id);
	bpf_probe_read_kernel(&plen, sizeof(plen), &from->fib6_dst.plen);
	return id == TABLE_MAIN ? plen : -1;
}
#endif
