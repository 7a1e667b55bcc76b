/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A walk over the open sockets, after a change. A TCP socket whose class is
 * another gets the new mark; a UDP socket's mark cannot be set from a walk, so
 * its class is noted for tc egress.
 */
#ifndef WAYMARK_REMARK_H
#define WAYMARK_REMARK_H

#include "fate.h"
#include "reroute.h"

enum { TCP_LISTEN = 10, PORT_WORDS = 65536 / 64 };

/* Ports that TCP listens on, a bit each: what is connected there was asked, and answers where it was. A walk meets listeners first. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} listened SEC(".maps");

/* Returns whether it has the mark now. */
static __noinline int set_tcp_mark(struct walk_result *r, struct tcp_sock *tcp, __u32 mark, __u64 *counted)
{
	if (bpf_setsockopt(tcp, SOL_SOCKET, SO_MARK, &mark, sizeof(mark))) {
		r->failed++;
		return 0;
	}
	if (counted)
		(*counted)++;
	return 1;
}

/* Whether something listens on a socket's port: then it was accepted. A listener is remembered. */
static __noinline int was_accepted(struct sock_common *skc)
{
	__u16 port = skc->skc_num;
	__u32 word = port / 64;
	__u64 *ports = bpf_map_lookup_elem(&listened, &word);

	if (ports && skc->skc_state == TCP_LISTEN)
		*ports |= 1ULL << (port & 63);
	return ports && *ports >> (port & 63) & 1;
}

static __always_inline void remark_tcp_impl(struct bpf_iter_meta *meta, struct sock_common *skc)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(skc);
	__u32 carried = 0;

	if (!tcp)
		return;
	int asked = was_accepted(skc);
	const struct sock *sk = (const struct sock *)tcp;
	READ(carried, sk->sk_mark);
	struct socket_note *note = bpf_sk_storage_get(&notes, skc, 0, 0);
	if (reroutes()) {
		if (skc->skc_state != TCP_LISTEN && !asked)
			reroute(meta, skc, address_of(sk), rerouted_mark(address_of(sk), order.elsewhere && note ? note->class_mark : carried & mask, note));
		return;
	}
	__u32 has = carried & mask, due = due_mark(address_of(sk), &has, note);
	struct walk_result *r = result();
	if (due == has || is_whole(carried) || !r)
		return;
	__u32 first = order.from == NO_VERSION, mark = with_class(carried, due);
	if (skc->skc_state == TCP_LISTEN) {
		/* No flow: what is asked of it from now on has the new class, whatever becomes of the rest. */
		if (!order.elsewhere && is_for_good())
			set_tcp_mark(r, tcp, mark, first ? &r->marked : 0);
	} else if (first) {
		if (asked) {
			r->inbound++;
			keep(skc, note, has, due);
		} else {
			set_tcp_mark(r, tcp, mark, &r->marked);
		}
	} else if (takes(r, meta, skc, note, has, due, asked)) {
		if (set_tcp_mark(r, tcp, mark, &r->moved))
			count_moved(due);
	}
}

/* Notes the class of a UDP socket, whose mark stays; returns whether there was room. */
static __noinline int note_class(struct udp_sock *udp, struct socket_note *note, __u32 class_mark, __u32 flags)
{
	struct socket_note fresh = {.flags = NOTE_CLASS | flags, .class_mark = class_mark};

	if (!note)
		return bpf_sk_storage_get(&notes, udp, &fresh, BPF_SK_STORAGE_GET_F_CREATE) != 0;
	note->class_mark = class_mark;
	note->flags |= NOTE_CLASS | flags;
	return 1;
}

/* An unconnected socket has a flow per datagram: the next one that no match takes leaves with this class. */
static __noinline void note_switch(struct udp_sock *udp, struct socket_note *note, __u32 mark)
{
	struct socket_note fresh = {.flags = NOTE_SWITCHES, .first = mark};

	if (!note) {
		bpf_sk_storage_get(&notes, udp, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
		return;
	}
	note->first = mark;
	note->flags = (note->flags & ~NOTE_CLASS) | NOTE_SWITCHES;
}

/* The class's mark that a UDP socket has: the noted one, or for one without a destination that of no match. */
static __always_inline __u32 udp_class_mark(__u32 carried, const struct socket_note *note, int connected)
{
	if (note && note->flags & NOTE_CLASS)
		return note->class_mark;
	if (note && note->flags & NOTE_SWITCHES && !connected)
		return note->first & mask;
	return carried & mask;
}

static __always_inline void note_udp_impl(struct bpf_iter_meta *meta, struct udp_sock *udp)
{
	const struct sock *sk = (const struct sock *)udp;
	struct walk_result *r = result();
	__u32 carried = 0;
	__u16 port = 0;

	if (!r)
		return;
	READ(carried, sk->sk_mark);
	READ(port, sk->__sk_common.skc_dport);
	struct socket_note *note = bpf_sk_storage_get(&notes, udp, 0, 0);
	int connected = port != 0, noted = 0;
	if (reroutes()) {
		if (connected)
			reroute(meta, (struct sock_common *)udp, address_of(sk),
				rerouted_mark(address_of(sk), udp_class_mark(carried, note, 1), note));
		return;
	}
	__u32 has = udp_class_mark(carried, note, connected), due = due_mark(address_of(sk), &has, note);
	if (due == has || is_whole(carried))
		return;
	if (order.from == NO_VERSION) {
		noted = note_class(udp, note, due, NOTE_BEFORE);
		r->noted += noted;
		r->failed += !noted;
	} else if (!connected) {
		if (!order.elsewhere && is_for_good())
			note_switch(udp, note, with_class(carried, due));
	} else if (takes(r, meta, (struct sock_common *)udp, note, has, due, 0)) {
		noted = note_class(udp, note, due, NOTE_BEFORE);
		r->moved += noted;
		if (noted)
			count_moved(due);
		r->failed += !noted;
	}
}
#endif
