/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The mark of a socket that is being connected. */
#ifndef WAYMARK_CONNECT_H
#define WAYMARK_CONNECT_H

#include "arrival.h"
#include "subflow.h"

/* Whether a TCP socket was connected before: to a peer that refused it, or that it took leave of. */
static __always_inline int connects_again(struct bpf_sock *sk)
{
	const struct tcp_sock *tcp = (const struct tcp_sock *)address_of(sk);
	__u32 sequence = 0;

	if (sk->type != SOCK_STREAM || sk->protocol != IPPROTO_TCP)
		return 0;
	READ(sequence, tcp->write_seq);
	return sequence != 0;
}

/* The mark of the class of a flow as if who made the socket connected it, whatever it was connected to before; 0: none. */
static __always_inline __u32 classify_again(struct bpf_sock *sk, struct flow *flow)
{
	__u64 address = address_of(sk);

	READ(flow->uid, ((const struct sock *)address)->sk_uid.val);
	return classify_by_socket(address, flow);
}

static __always_inline void mark_connect(struct bpf_sock_addr *ctx, struct bpf_sock *sk, struct flow *flow)
{
	__u32 class_mark = classify_connect(sk, flow), mark = sk->mark;

	if (ctx->type == SOCK_DGRAM)
		mark = datagram_mark(sk, note_of(sk), class_mark);
	else if (class_mark)
		mark = with_class(mark, class_mark);
	else if (is_classed(mark) && connects_again(sk))
		mark = with_class(mark, classify_again(sk, flow));
	if (mark != sk->mark && !is_whole(sk->mark))
		set_mark(ctx, mark);
}

/*
 * A datagram server that connects to who asked it answers from where it was asked, as one
 * that does not connect. No hook can name its source: it is bound to the uplink that
 * the question came in by, of which the kernel then takes the address, and until it is
 * disconnected. Returns whether it is bound.
 */
static __noinline int stay_where_asked(struct bpf_sock_addr *ctx, struct bpf_sock *sk, const struct flow *flow)
{
	const struct arrival *a = is_open_server(sk) && !sk->bound_dev_if ? question_of(sk, flow) : 0;
	__u32 number = a ? a->uplink : NO_UPLINK;
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &number);
	int ifindex = u ? u->ifindex : 0;

	return u && !bpf_setsockopt(ctx, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, sizeof(ifindex));
}
#endif
