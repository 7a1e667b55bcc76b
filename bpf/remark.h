/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A walk over the open sockets, after a change. It asks both versions of the
 * table what a socket's class is: where the change gave it another one, or
 * its class another number, it meets its fate. A TCP socket gets the new
 * mark; a UDP socket's mark cannot be set from a walk, so its class is noted
 * for tc egress. Hooks class by the task and the walk by the socket: one that
 * has another class than the old table says keeps it, whatever the new one
 * says.
 */
#ifndef WAYMARK_REMARK_H
#define WAYMARK_REMARK_H

#include "opened.h"

enum { TCP_LISTEN = 10, PORT_WORDS = 65536 / 64 };

struct udp_sock;

extern int bpf_sock_destroy(struct sock_common *sk) __kfunc_if_there;

/* Written before a walk: the programs are verified once, for all walks. */
struct walk_order order SEC(".data.walk");

/* Whether the kernel has bpf_sock_destroy. Without it the cookies of sockets to be reset are what the walk prints. */
const volatile __u32 can_destroy;

/* Ports that TCP listens on, a bit each: what is connected there was asked, and answers where it was. A walk meets listeners first. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} listened SEC(".maps");

/* By a class's mark before the change: the mark of the class of that name now, or the same if there is none. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} heirs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk_result);
} walked SEC(".maps");

/* By class number: 1 for one that a flow has without its mark, as a walk finds them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: one more than the highest number */
	__type(key, __u32);
	__type(value, __u32);
} carried SEC(".maps");

static __noinline void carry(__u32 mark)
{
	__u32 number = class_number(mark);
	__u32 *here = bpf_map_lookup_elem(&carried, &number);

	if (here)
		*here = 1;
}

/* Whether the walk does what it finds due, and does not only look ahead. */
static __always_inline int is_for_good(void)
{
	return !order.rehearses && !order.holds;
}

/* A flow that was left as it was follows its class again: here by its mark, elsewhere by the table. */
static __always_inline void release(struct socket_note *note)
{
	note->flags &= order.elsewhere ? ~(NOTE_KEPT | NOTE_CLASS) : ~NOTE_KEPT;
}

static __always_inline __u32 heir_of(__u32 mark)
{
	__u32 *heir = bpf_map_lookup_elem(&heirs, &mark);

	return heir ? *heir : mark;
}

/*
 * The class's mark that a socket should have after the change; `has`, which
 * it carries, if the change does not concern it. One that an earlier change
 * left as it was stays so until another changes its class; one that is in its
 * class all the same was only held for this change.
 */
static __always_inline __u32 due_mark(__u64 address, __u32 *has, struct socket_note *note)
{
	if (order.from == NO_VERSION)
		return *has ? *has : classify_socket(address, order.to);

	__u32 was = classify_socket(address, order.from), is = classify_socket(address, order.to);
	__u32 noted = note && note->flags & NOTE_CLASS, kept = note && note->flags & NOTE_KEPT;
	if (order.elsewhere)
		*has = noted ? note->class_mark : was;
	if (order.elsewhere || noted)
		carry(*has);
	if (kept && is == *has && is_for_good())
		release(note);
	__u32 left = kept && *has != was;
	__u32 *heir = bpf_map_lookup_elem(&heirs, has);
	if (heir_of(was) != is && (left || *has == was || (*has && !heir)))
		return is;
	return heir && !left ? *heir : *has;
}

static __always_inline __u32 fate_in(__u32 mark)
{
	const struct class_entry *class = class_of(mark);

	if (order.fate != FATE_OF_CLASS || !class)
		return order.fate;
	if (class->flags & CLASS_RESETS)
		return FATE_RESET;
	return class->flags & CLASS_MOVES ? FATE_MOVE : FATE_KEEP;
}

static __always_inline struct walk_result *result(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&walked, &zero);
}

/* The line of the class that a change would have a flow in; a rehearsal counts nothing. */
static __noinline struct class_counters *line_due(__u32 due)
{
	const struct class_entry *class = class_of(due);

	return class && is_for_good() ? first_line(class) : 0;
}

/* Whether a flow is left as it is, and counted for the reason. */
static __always_inline int stays(struct walk_result *r, __u64 address, __u32 due, __u32 fate, int inbound)
{
	if (inbound)
		r->inbound++;
	else if (fate == FATE_KEEP)
		r->kept++;
	else if (fate == FATE_MOVE && is_pinned(address, due))
		r->pinned++;
	else
		return 0;
	return 1;
}

/* Remembers a flow that stays, so that it is counted until it ends, and of one elsewhere what it stays in. */
static __noinline void note_kept(struct sock_common *sk, struct socket_note *note, __u32 has)
{
	struct socket_note fresh = {.flags = NOTE_KEPT};

	if (order.elsewhere) {
		fresh.flags |= NOTE_CLASS;
		fresh.class_mark = has;
	}
	if (!note) {
		bpf_sk_storage_get(&notes, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
		return;
	}
	if (order.elsewhere)
		note->class_mark = has;
	note->flags |= fresh.flags;
}

static __noinline void reset_socket(struct walk_result *r, struct bpf_iter_meta *meta, struct sock_common *sk, __u32 due)
{
	struct class_counters *c = line_due(due);
	__u64 cookie = 0;

	if (can_destroy) {
		if (bpf_sock_destroy(sk)) {
			r->failed++;
			return;
		}
		r->reset++;
	} else {
		/* Where there is no room left, the walk comes by once more. */
		cookie = bpf_get_socket_cookie(sk);
		if (bpf_seq_write(meta->seq, &cookie, sizeof(cookie)))
			return;
	}
	if (c)
		c->reset_sockets++;
}

static __noinline void count_moved(__u32 due)
{
	struct class_counters *c = line_due(due);

	if (c)
		c->moved++;
}

/* What becomes of a flow that is due another class; returns whether it takes it. */
static __always_inline int takes(struct walk_result *r, struct bpf_iter_meta *meta, struct sock_common *sk,
				 struct socket_note *note, __u32 has, __u32 due, int inbound)
{
	__u32 fate = fate_in(due);

	if (stays(r, address_of(sk), due, fate, inbound)) {
		struct class_counters *c = line_due(due);
		if (c)
			c->kept_sockets++;
		if (!order.rehearses)
			note_kept(sk, note, has);
		return 0;
	}
	if (order.holds)
		return 0;
	if (fate == FATE_RESET && order.rehearses) {
		r->reset++;
		return 0;
	}
	if (fate == FATE_RESET) {
		reset_socket(r, meta, sk, due);
		return 0;
	}
	if (note && is_for_good())
		release(note);
	if (order.elsewhere || order.rehearses) {
		r->moved++;
		count_moved(due);
		return 0;
	}
	return 1;
}

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

#include "reroute.h"

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
		if (asked)
			r->inbound++;
		else
			set_tcp_mark(r, tcp, mark, &r->marked);
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
