/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An unbound datagram server answers from the address it was asked at. */
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

/* For a datagram that came in by an uplink. */
static __always_inline void remember_arrival(struct __sk_buff *skb, __u32 number)
{
	struct bpf_sock *sk = skb->sk;
	struct flow flow = {};

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk || !is_open_server(sk) || !read_packet(skb, &flow))
		return;
	__u32 slot = arrival_slot(&flow.addresses[0], flow.ports[0], sk->src_port);
	struct arrival *a = bpf_map_lookup_elem(&arrivals, &slot);
	if (!a)
		return;
	a->family = 0; /* nobody's, while it is being written */
	a->peer = flow.addresses[0];
	a->local = flow.addresses[1];
	a->peer_port = flow.ports[0];
	a->local_port = sk->src_port;
	a->uplink = number;
	a->seconds = coarse_seconds();
	a->family = flow.family;
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
 * Whether the destination of this flow asked its socket, and at which address. By
 * an uplink that was lost since, nobody is answered: the flow takes its class's way.
 */
static __noinline int was_asked_at(struct bpf_sock *sk, const struct flow *flow, struct words *local)
{
	const struct words *peer = &flow->addresses[1];
	__u32 local_port = sk->src_port;
	__u32 slot = arrival_slot(peer, flow->ports[1], local_port);
	const struct arrival *a = bpf_map_lookup_elem(&arrivals, &slot);

	if (!a || a->family != flow->family || a->peer_port != flow->ports[1] || a->local_port != local_port)
		return 0;
	for (int i = 0; i < 4; i++)
		if (a->peer.word[i] != peer->word[i])
			return 0;
	if (!still_leads(sk, a))
		return 0;
	*local = a->local;
	return 1;
}
#endif
