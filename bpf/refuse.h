/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows of a class that may not leave another way are refused here while no
 * uplink of the class has a link and is a way in their family, or all that have
 * one are withdrawn, where the rules alone do not do it. tc
 * egress would drop their packets, and the application would wait. They are
 * IPv6 sockets: when a look-up without a source ends in "unreachable", the
 * kernel picks a source address from any interface and looks again
 * (ip6_dst_lookup_tail), and the rule for that uplink's addresses answers;
 * and a datagram whose socket gets its class's mark only now (sendmsg).
 */
#ifndef WAYMARK_REFUSE_H
#define WAYMARK_REFUSE_H

#include "count.h"
#include "socket.h"

static long (*const bpf_set_retval)(int value) = (void *)187;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_INSIDE);
	__type(key, __u32);
	__type(value, struct inside_prefix);
} inside SEC(".maps");

__noinline int in_prefix(const struct inside_prefix *p, const struct words *address)
{
	if (!p || !address)
		return 0;
	for (__u32 i = 0; i < 4; i++) {
		__u32 bits = p->bits > 32 * i ? p->bits - 32 * i : 0;
		__u32 ones = bits >= 32 ? ~0U : ~(~0U >> (bits & 31));
		if ((p->prefix.word[i] ^ address->word[i]) & ones)
			return 0;
	}
	return 1;
}

/* An IPv4 destination as `inside` has it. */
static __always_inline struct words mapped(__u32 address)
{
	return (struct words){{0, 0, 0xffff, address}};
}

static __always_inline int is_multicast4(__u32 address)
{
	return address >> 28 == 14 || address == ~0U;
}

/* fe80::/10 and ff00::/8. */
static __always_inline int is_link_scope6(const struct words *address)
{
	return address->word[0] >> 22 == 0xfe80 >> 6 || address->word[0] >> 24 == 0xff;
}

/* A destination as the hooks have it, IPv4 as v4-mapped. */
static __always_inline int is_on_every_link(const struct words *address)
{
	return is_v4_mapped(address) ? is_multicast4(address->word[3]) : is_link_scope6(address);
}

enum { WHOLE_ADDRESS = 128 };

struct inside_question {
	const struct words *address;
	__u32 by_main;
	__u32 bits; /* of the prefix, at least */
	__u32 found;
};

/* One prefix of `inside`; returns 1 at the end of the look-up. */
static long look_inside(__u32 i, struct inside_question *q)
{
	const struct inside_prefix *p = bpf_map_lookup_elem(&inside, &i);

	if (!p || !p->bits)
		return 1;
	if (p->by_main < q->by_main)
		return 1;
	if (p->bits < q->bits || !in_prefix(p, q->address))
		return 0;
	q->found = 1;
	return 1;
}

/*
 * Whether a destination was the host's own, or main knew it by more than its
 * default, when user space last looked; or the latter alone, or by a whole
 * address alone (WHOLE_ADDRESS), as the host's own are.
 */
__noinline int is_inside(const struct words *address, __u32 by_main, __u32 bits)
{
	struct inside_question q = {.address = address, .by_main = by_main, .bits = bits};

	if (!address)
		return 0;
	bpf_loop(MAX_INSIDE, look_inside, &q, 0);
	return q.found;
}

static __always_inline int is_loopback(const struct words *address)
{
	if (is_v4_mapped(address))
		return address->word[3] >> 24 == 127;
	return !(address->word[0] | address->word[1] | address->word[2]) && address->word[3] == 1;
}

/* Whether what is sent in a class goes past its uplinks: by every link, to the host itself, or where main knows a way by more than its default. */
static __noinline int goes_past_uplinks(__u32 mark, const struct words *destination)
{
	const struct class_entry *class = class_of(mark);

	if (is_on_every_link(destination) || is_loopback(destination))
		return 1;
	return class && !(class->flags & CLASS_STRICT) && is_inside(destination, 1, 0);
}

/* The errno with which a flow is refused; 0: it is not. */
static __noinline int refusal(struct bpf_sock *sk, __u32 mark, const struct words *destination)
{
	__u32 number = class_number(mark), family = is_v4_mapped(destination) ? UPLINK_IPV4 : UPLINK_IPV6;
	const struct class_entry *class = bpf_map_lookup_elem(&classes, &number);

	if (!number || !class || !(class->flags & CLASS_NO_LEAK) || socket_locks(sk) & SOCK_BINDADDR_LOCK)
		return 0;
	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops)
			break;
		__u32 index = class->route[i];
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (!u || ((u->flags & (family | UPLINK_WITHDRAWN)) == family && link_is_up(address_of(sk), u->ifindex)))
			return 0;
	}
	if (is_on_every_link(destination) || is_inside(destination, 0, class->flags & CLASS_STRICT ? WHOLE_ADDRESS : 0))
		return 0;
	return class->refusal;
}

static __noinline void count_refused_flow(struct bpf_sock *sk, __u32 mark)
{
	const struct class_entry *class = class_of(mark);
	struct class_counters *c = class ? first_line(class) : 0;

	if (c && sk->type == SOCK_STREAM)
		c->unreachable++;
	else if (c)
		c->send_errors++;
}

/* The hook's verdict: 1 lets the call go on, 0 ends it with the errno set. */
static __always_inline int verdict(struct bpf_sock *sk, __u32 mark, const struct words *destination)
{
	int errno = refusal(sk, mark, destination);

	if (!errno)
		return 1;
	count_refused_flow(sk, mark);
	bpf_set_retval(-errno);
	return 0;
}
#endif
