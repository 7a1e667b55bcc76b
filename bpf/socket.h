/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The cgroup hooks: they put a class's mark on the socket, before the kernel routes. */
#ifndef WAYMARK_SOCKET_H
#define WAYMARK_SOCKET_H

#include "core.h"
#include "mark.h"
#include "match.h"
#include "notes.h"
#include "sent.h"

/* The network namespace of the instance; sockets of others are not ours. */
const volatile __u64 netns_cookie;

/* How many uplinks there can be. */
const volatile __u32 uplink_limit;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: one more than the highest number */
	__type(key, __u32);
	__type(value, struct class_entry);
} classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_UPLINKS);
	__type(key, __u32);
	__type(value, struct uplink_entry);
} uplinks SEC(".maps");

enum { NO_UPLINK = MAX_UPLINKS };

/* The number of the uplink that is an interface; NO_UPLINK: none is. */
__noinline __u32 uplink_behind(__u32 ifindex)
{
	for (__u32 i = 0; i < MAX_UPLINKS; i++) {
		if (i >= uplink_limit)
			break;
		__u32 index = i;
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (u && u->ifindex == ifindex)
			return i;
	}
	return NO_UPLINK;
}

/*
 * Marks that somebody else's rules match whole (wg-quick, Mullvad): with a
 * bit of ours they would be another mark, so their sockets are left alone.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WHOLE_MARKS);
	__type(key, __u32);
	__type(value, __u8);
} whole_marks SEC(".maps");

static __always_inline __u32 with_class(__u32 mark, __u32 class_mark)
{
	return (mark & ~(mask | retired_mask)) | class_mark;
}

static __always_inline int is_whole(__u32 mark)
{
	return mark & ~mask && bpf_map_lookup_elem(&whole_marks, &mark);
}

static __always_inline __u32 protocol_of(__u32 protocol)
{
	return protocol == IPPROTO_MPTCP ? IPPROTO_TCP : protocol;
}

static __always_inline int is_v4_mapped(const struct words *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == 0xffff;
}

static __always_inline int is_unspecified(const struct words *a)
{
	return !(a->word[0] | a->word[1] | a->word[2] | a->word[3]);
}

/* A flow to a v4-mapped address is IPv4 at both ends. */
static __always_inline void unmap(struct flow *flow)
{
	flow->family = AF_INET;
	flow->addresses[0] = (struct words){{flow->addresses[0].word[3]}};
	flow->addresses[1] = (struct words){{flow->addresses[1].word[3]}};
}

/* Returns whether the socket has the mark now. */
static __always_inline int set_mark(struct bpf_sock_addr *ctx, __u32 mark)
{
	return !bpf_setsockopt(ctx, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

static __always_inline struct socket_note *note_of(struct bpf_sock *sk)
{
	return bpf_sk_storage_get(&notes, sk, 0, 0);
}

/* The mark that a datagram socket, with the note that there is of it, should have for a destination of this class, or of none. */
static __always_inline __u32 datagram_mark(struct bpf_sock *sk, struct socket_note *note, __u32 class_mark)
{
	__u32 old = sk->mark;

	if (note)
		note->flags &= ~(NOTE_CLASS | NOTE_KEPT | NOTE_ASIDE | SENT_FLAGS);
	if (!class_mark)
		return note && note->flags & NOTE_SWITCHES ? with_class(old, note->first & mask) : old;
	if (class_mark == (old & mask) || (note && note->flags & NOTE_SWITCHES))
		return with_class(old, class_mark);

	struct socket_note fresh = {.flags = NOTE_SWITCHES, .first = old};
	if (!note) {
		bpf_sk_storage_get(&notes, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	} else {
		note->first = old;
		note->flags |= NOTE_SWITCHES;
	}
	return with_class(old, class_mark);
}

/*
 * Notes what tc egress, which sees the datagram next, cannot tell: its class, where
 * its socket sends to several, and whether its source or interface was named. Of a
 * socket without a class none of this is ever asked.
 */
static __noinline int note_datagram(struct bpf_sock *sk, struct socket_note *note, const struct flow *flow, __u32 mark, __u32 flags)
{
	if (!note)
		note = note_of(sk);
	if (!note && flags & NOTE_SOURCE && is_classed(mark))
		note = bpf_sk_storage_get(&notes, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!note)
		return 0;
	note->flags = (note->flags & ~SENT_FLAGS) | flags;
	note_sent(sk, flow, mark, flags);
	return 0;
}

/* The interface that an application named beside a datagram (IP_PKTINFO), which only the kernel's stack knows, or for all; 0: none. */
static __noinline __u32 named_device(struct bpf_sock_addr *ctx, struct bpf_sock *sk, __u32 family)
{
	const struct bpf_sock_addr_kern *kernel_ctx = (const struct bpf_sock_addr_kern *)address_of(ctx);
	const struct ipcm_cookie *beside = 0;
	const struct flowi6 *flow = 0;
	const char *source = 0;
	int device = 0;

	if (!FIELD_INFO(beside->oif, FIELD_EXISTS) || !FIELD_INFO(flow->__fl_common.flowic_oif, FIELD_EXISTS))
		return 0;
	READ(source, kernel_ctx->t_ctx);
	if (family == AF_INET) {
		beside = (const void *)(source - FIELD_INFO(beside->addr, BYTE_OFFSET));
		READ(device, beside->oif);
	} else {
		flow = (const void *)(source - FIELD_INFO(flow->saddr, BYTE_OFFSET));
		READ(device, flow->__fl_common.flowic_oif);
	}
	return device ? device : unicast_device(sk, family);
}

/*
 * Notes whether the interface is named of a datagram that a connected socket sends to its
 * peer with something beside it: these alone come by the hook, and without an address.
 */
static __noinline int note_beside(struct bpf_sock_addr *ctx, struct bpf_sock *sk, __u32 family)
{
	__u32 flags = named_device(ctx, sk, family) ? NOTE_DEVICE : 0;
	struct socket_note *note = note_of(sk);

	if (!note && flags && is_classed(sk->mark))
		note = bpf_sk_storage_get(&notes, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (note)
		note->flags = (note->flags & ~SENT_FLAGS) | flags;
	return 0;
}

static __always_inline __u32 flag_of(__u32 family)
{
	return family == AF_INET ? UPLINK_IPV4 : UPLINK_IPV6;
}

/* As first_uplink, by the kernel's address of the socket: the number, verified once for all who ask. */
__noinline __u32 first_uplink_of(__u64 sk, __u32 mark, __u32 family)
{
	__u32 number = class_number(mark), needed = UPLINK_USABLE | flag_of(family);
	const struct class_entry *class = bpf_map_lookup_elem(&classes, &number);

	if (!class || !(class->flags & CLASS_IN_USE))
		return NO_UPLINK;
	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops)
			break;
		__u32 index = class->route[i];
		const struct uplink_entry *uplink = bpf_map_lookup_elem(&uplinks, &index);
		if (uplink && (uplink->flags & needed) == needed && link_is_up(sk, uplink->ifindex))
			return index;
	}
	return NO_UPLINK;
}

/*
 * The first usable uplink of the class that a mark carries, in a family; for no
 * class, number 0, of main. Of a balance any member will do: the mark decides from
 * the next datagram on.
 */
static __always_inline const struct uplink_entry *first_uplink(struct bpf_sock *sk, __u32 mark, __u32 family)
{
	__u32 number = first_uplink_of(address_of(sk), mark, family);

	return bpf_map_lookup_elem(&uplinks, &number);
}

/*
 * Notes the class of a datagram that a connected socket sends past its peer: its
 * mark stays that of its connection, which tells the kernel nothing for this one.
 * Returns whether it is such a socket. The class that a walk noted goes before.
 */
static __always_inline int note_aside(struct bpf_sock *sk, struct socket_note *note, __u32 class_mark)
{
	__u32 own = sk->mark & mask, aside = class_mark;

	if (!sk->dst_port || (note && note->flags & NOTE_CLASS))
		return 0;
	if (!class_mark)
		aside = note && note->flags & NOTE_SWITCHES ? note->first & mask : own;
	struct socket_note fresh = {.flags = NOTE_ASIDE, .class_mark = aside};
	if (!note && aside != own) {
		bpf_sk_storage_get(&notes, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	} else if (note) {
		note->class_mark = aside;
		note->flags |= NOTE_ASIDE;
	}
	return 1;
}

/* What the hook makes of a datagram. */
struct steering {
	const struct uplink_entry *uplink; /* that it still has to be steered to, if its socket changed class */
	__u32 mark;
	__u32 flags; /* NOTE_DEVICE, if its interface is named */
	__u32 noted; /* whether there may be a note of its socket */
};

static __always_inline struct steering mark_datagram(struct bpf_sock_addr *ctx, struct bpf_sock *sk, struct socket_note *note, struct flow *flow)
{
	struct steering s = {.mark = sk->mark, .noted = note != 0};
	__u32 class_mark = classify_task(flow), old = s.mark;

	if (note_aside(sk, note, class_mark))
		return s;
	__u32 mark = datagram_mark(sk, note, class_mark);
	int switches = mark != old && !is_whole(old) && set_mark(ctx, mark);
	if (switches)
		s.mark = mark;
	s.noted |= switches;
	/* One whose interface is named leaves by it, whatever its class. */
	if (s.noted && named_device(ctx, sk, flow->family))
		s.flags = NOTE_DEVICE;
	if (switches && !s.flags && !sk->bound_dev_if)
		s.uplink = first_uplink(sk, mark, flow->family);
	return s;
}
#endif
