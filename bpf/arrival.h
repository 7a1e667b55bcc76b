/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An unbound datagram server answers from the address it was asked at; a client that is bound to a port does not. */
#ifndef WAYMARK_ARRIVAL_H
#define WAYMARK_ARRIVAL_H

#include "core.h"
#include "packet.h"
#include "socket.h"

enum { ARRIVALS = 16384 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ARRIVALS);
	__type(key, __u32);
	__type(value, struct arrival);
} arrivals SEC(".maps");

static __always_inline __u32 arrival_slot(const struct words *peer, __u32 peer_port, __u32 local_port)
{
	__u32 hash = peer->word[0] ^ peer->word[1] ^ peer->word[2] ^ peer->word[3] ^ (peer_port << 16 | local_port);

	return (hash * 0x9e3779b1U >> 18) % ARRIVALS;
}

/*
 * An unconnected UDP socket that was bound to a port and to no address. One
 * whose port the kernel chose is a client, and may change its way.
 */
static __always_inline int is_open_server(struct bpf_sock *sk)
{
	return sk->protocol == IPPROTO_UDP && sk->src_port && !sk->dst_port && !sk->src_ip4 &&
	       !(sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3]) &&
	       socket_locks(sk) & SOCK_BINDPORT_LOCK;
}

/* Since boot; a few milliseconds late, and for next to nothing. */
static __always_inline __u32 coarse_seconds(void)
{
	return bpf_ktime_get_coarse_ns() / 1000000000;
}

/* Whether it is so long ago that what is sent now answers nothing. */
static __always_inline int is_stale(const struct arrival *a)
{
	return coarse_seconds() - a->seconds >= ASKED_LATELY;
}

static __always_inline struct arrival *arrival_of(const struct words *peer, __u32 peer_port, __u32 local_port)
{
	__u32 slot = arrival_slot(peer, peer_port, local_port);

	return bpf_map_lookup_elem(&arrivals, &slot);
}

static __always_inline int is_from(const struct arrival *a, const struct words *peer, __u32 peer_port, __u32 local_port)
{
	return a->peer_port == peer_port && a->local_port == local_port && same_words(&a->peer, peer);
}

/* Whether an entry is a socket's, or one's that shares its port with this. */
static __always_inline int is_whose(const struct arrival *a, struct bpf_sock *sk)
{
	const struct sock *kernel_sk = (const struct sock *)address_of(sk);
	__u64 cookie = 0;

	READ(cookie, kernel_sk->__sk_common.skc_cookie.counter);
	return a->socket == (__u32)cookie || READ_BITS(kernel_sk, __sk_common.skc_reuseport);
}

static __always_inline int is_between(const struct arrival *a, const struct words *peer, __u32 peer_port, struct bpf_sock *sk)
{
	return is_from(a, peer, peer_port, sk->src_port) && is_whose(a, sk);
}

static __always_inline void write_arrival(struct arrival *a, __u64 socket, const struct words *peer, const struct words *local,
					  __u32 ports, __u32 number, __u32 family)
{
	a->family = 0; /* nobody's, while it is being written */
	a->socket = socket;
	a->peer = *peer;
	a->local = *local;
	a->peer_port = ports >> 16;
	a->local_port = ports;
	a->uplink = number;
	a->seconds = coarse_seconds();
	a->family = family;
}

/* Whether an address is the one that an uplink gives to datagrams: a server may be asked at its others. */
static __always_inline int is_source_of(const struct uplink_entry *u, const struct words *address, __u32 family)
{
	int same = 1;

	if (family == AF_INET)
		return u->source4 == bpf_ntohl(address->word[0]);
	for (int i = 0; i < 4; i++)
		same = same && u->source6[i] == bpf_ntohl(address->word[i]);
	return same;
}

/* Whether a datagram of a flow that its socket began came to where that sends from: till now, or by now. */
static __noinline int is_answer(struct bpf_sock *sk, const struct arrival *a, const struct flow *flow)
{
	if (same_words(&a->local, &flow->addresses[1]))
		return 1;
	const struct uplink_entry *way = first_uplink(sk, sk->mark, flow->family);
	return way && is_source_of(way, &flow->addresses[1], flow->family);
}

/* Whether a datagram came for all of a group or on a link: nobody answers from such an address. */
static __always_inline int is_for_many(struct __sk_buff *skb, const struct flow *flow)
{
	__u32 high = flow->addresses[1].word[0];

	return flow->family == AF_INET ? high >> 28 == 14 || is_broadcast(skb) : high >> 24 == 0xff;
}

/* For a datagram that came in by an uplink. */
static __always_inline void remember_arrival(struct __sk_buff *skb, __u32 number)
{
	struct bpf_sock *sk = skb->sk;
	struct flow flow = {};

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk || !is_open_server(sk) || !read_packet(skb, &flow) || is_for_many(skb, &flow))
		return;
	struct arrival *a = arrival_of(&flow.addresses[0], flow.ports[0], sk->src_port);
	if (!a)
		return;
	__u32 begun = flow.family | BEGUN_HERE;
	if (a->family == begun && is_between(a, &flow.addresses[0], flow.ports[0], sk) && is_answer(sk, a, &flow))
		flow.family = begun;
	write_arrival(a, bpf_get_socket_cookie(skb), &flow.addresses[0], &flow.addresses[1], flow.ports[0] << 16 | sk->src_port, number, flow.family);
}

/*
 * Remembers that a socket sends to somebody who did not ask it, unless somebody
 * who did would be forgotten for it. What a balance chose is kept as it is.
 */
static __noinline int begin(struct bpf_sock_addr *ctx, struct bpf_sock *sk, __u32 mark, const struct flow *flow)
{
	const struct words *peer = &flow->addresses[1];
	__u32 local_port = sk->src_port, number = class_number(mark);
	struct words local = {};

	if (!is_open_server(sk))
		return 0;
	struct arrival *a = arrival_of(peer, flow->ports[1], local_port);
	const struct class_entry *class = bpf_map_lookup_elem(&classes, &number);
	if (!a || !class || class->flags & CLASS_BALANCED)
		return 0;
	int gone = is_from(a, peer, flow->ports[1], local_port) && !is_whose(a, sk);
	if (a->family && !is_stale(a) && !gone)
		return 0;
	const struct uplink_entry *way = first_uplink(sk, mark, flow->family);
	if (!way)
		return 0;
	if (flow->family == AF_INET)
		local.word[0] = bpf_ntohl(way->source4);
	else
		to_words(&local, way->source6);
	write_arrival(a, bpf_get_socket_cookie(ctx), peer, &local, flow->ports[1] << 16 | local_port, NO_UPLINK, flow->family | BEGUN_HERE);
	return 0;
}

/* Whether the uplink that a question came in by leads anywhere, as it did when that came. */
static __noinline int still_leads(struct bpf_sock *sk, const struct arrival *a)
{
	__u32 number = a->uplink;

	if (a->seconds == coarse_seconds())
		return 1;
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &number);
	return u && !(u->flags & UPLINK_WITHDRAWN) && link_is_up(address_of(sk), u->ifindex);
}

/*
 * Where the destination of this flow asked its socket; 0: it did not. By an
 * uplink that was lost since, nobody is answered: the flow takes its class's way.
 */
static __noinline const struct arrival *question_of(struct bpf_sock *sk, const struct flow *flow)
{
	const struct arrival *a = arrival_of(&flow->addresses[1], flow->ports[1], sk->src_port);

	if (!a || a->family != flow->family || !is_between(a, &flow->addresses[1], flow->ports[1], sk))
		return 0;
	return is_stale(a) || !still_leads(sk, a) ? 0 : a;
}

/* Whether a datagram that is being sent answers one, and from which address. To whom nobody has asked, a flow begins. */
static __noinline int answers_at(struct bpf_sock_addr *ctx, struct bpf_sock *sk, __u32 mark, const struct flow *flow, struct words *local)
{
	const struct arrival *a = question_of(sk, flow);

	if (!a)
		return begin(ctx, sk, mark, flow);
	*local = a->local;
	return 1;
}
#endif
