/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a change does to one open socket. Both versions of the table are asked
 * what its class is: where the change gave it another one, or its class
 * another number, it meets its fate. Hooks class by the task and a walk by the
 * socket: one that has another class than the old table says keeps it, whatever
 * the new one says.
 */
#ifndef WAYMARK_FATE_H
#define WAYMARK_FATE_H

#include "opened.h"

extern int bpf_sock_destroy(struct sock_common *sk) __kfunc_if_there;

/* Written before a walk: the programs are verified once, for all walks. */
struct walk_order order SEC(".data.walk");

/* Whether the kernel has bpf_sock_destroy. Without it the cookies of sockets to be reset are what the walk prints. */
const volatile __u32 can_destroy;

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

/* The first mark of a socket that has none; a number that no class has is of before a `down`, or of another mask, or somebody else's. */
static __always_inline __u32 first_mark(__u64 address, __u32 has)
{
	if (has && own_class(has))
		return has;
	__u32 mark = classify_socket(address, order.to);

	return mark ? mark : has;
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
		return first_mark(address, *has);

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

/* Books a flow that stays under the class that it would have. */
static __always_inline void keep(struct sock_common *sk, struct socket_note *note, __u32 has, __u32 due)
{
	struct class_counters *c = line_due(due);

	if (c)
		c->kept_sockets++;
	if (!order.rehearses)
		note_kept(sk, note, has);
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

	if (fate == FATE_RESET && is_within_host(address_of(sk)))
		fate = FATE_MOVE; /* it takes its new class, and has no way to change for that */
	if (stays(r, address_of(sk), due, fate, inbound)) {
		keep(sk, note, has, due);
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

#endif
