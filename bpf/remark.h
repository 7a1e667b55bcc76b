/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets that were open before there was a class for them are classed by
 * walking over them. A TCP socket gets its class's mark; a UDP socket's mark
 * cannot be set from a walk, so its class is noted for tc egress. Sockets
 * that carry a class's number keep it.
 */
#ifndef WAYMARK_REMARK_H
#define WAYMARK_REMARK_H

#include "core.h"
#include "egress.h"

enum { TCP_LISTEN = 10, PORT_WORDS = 65536 / 64 };

struct tcp_sock;
struct udp_sock;

static struct tcp_sock *(*const bpf_skc_to_tcp_sock)(void *sk) = (void *)137;

/* Ports that TCP listens on, a bit each: what is connected there was asked, and answers where it was. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} listened SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk_result);
} walked SEC(".maps");

__noinline __u32 find_socket_cgroup_set(__u64 address, __u32 version, __u64 levels, __u32 none)
{
	const struct sock *sk = (const struct sock *)address;
	const struct cgroup *cgroup = 0;

	READ(cgroup, sk->sk_cgrp_data.cgroup);
	return FIND_CGROUP_SET(version, levels, none, ancestor_id(cgroup, level));
}

static __always_inline void read_flow(const struct sock *sk, struct flow *flow)
{
	__u16 family = 0, protocol = 0, ports[2] = {};
	__u32 addresses[2][4] = {};

	READ(family, sk->__sk_common.skc_family);
	READ(protocol, sk->sk_protocol);
	READ(ports[0], sk->__sk_common.skc_num);
	READ(ports[1], sk->__sk_common.skc_dport);
	READ(flow->uid, sk->sk_uid.val);
	flow->family = family;
	flow->proto = protocol_of(protocol);
	flow->ports[0] = ports[0];
	flow->ports[1] = bpf_ntohs(ports[1]);
	if (family == AF_INET) {
		READ(addresses[0][0], sk->__sk_common.skc_rcv_saddr);
		READ(addresses[1][0], sk->__sk_common.skc_daddr);
	} else {
		READ(addresses[0], sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32);
		READ(addresses[1], sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32);
	}
	to_words(&flow->addresses[0], addresses[0]);
	to_words(&flow->addresses[1], addresses[1]);
	if (family == AF_INET6 && is_v4_mapped(&flow->addresses[1]))
		unmap(flow);
	/* What is not connected has no destination: only matches that name none hold. */
	if (!ports[1])
		flow->family = 0;
}

/* The mark of a socket's class; 0: none. */
__noinline __u32 classify_socket(__u64 address)
{
	const struct sock *sk = (const struct sock *)address;
	struct flow flow = {};
	struct search s = {};
	const struct table_header *h = begin_search(&s);

	if (!h)
		return 0;
	read_flow(sk, &flow);
	if (s.fields >> FIELD_CGROUP & 1)
		s.ref[0][FIELD_CGROUP] = find_socket_cgroup_set(address, s.version, h->cgroup_levels, h->no_cgroup);
	return end_search(&s, h, &flow);
}

static __always_inline struct walk_result *result(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&walked, &zero);
}

static __always_inline void remark_tcp_impl(struct sock_common *skc)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(skc);
	struct walk_result *r = result();
	__u16 port = skc->skc_num;
	__u32 word = port / 64, carried = 0;

	__u64 *ports = bpf_map_lookup_elem(&listened, &word);
	if (!tcp || !r || !ports)
		return;
	if (skc->skc_state != TCP_LISTEN && *ports >> (port & 63) & 1) {
		r->inbound++;
		return;
	}
	const struct sock *sk = (const struct sock *)tcp;
	READ(carried, sk->sk_mark);
	if (class_number(carried) || is_whole(carried))
		return;
	__u32 class_mark = classify_socket(address_of(sk));
	if (!class_mark)
		return;
	__u32 mark = with_class(carried, class_mark);
	if (bpf_setsockopt(tcp, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
		r->failed++;
	else
		r->marked++;
}

static __always_inline void note_udp_impl(struct udp_sock *udp)
{
	const struct sock *sk = (const struct sock *)udp;
	struct walk_result *r = result();
	__u32 carried = 0;

	if (!r)
		return;
	READ(carried, sk->sk_mark);
	if (class_number(carried))
		return;
	__u32 class_mark = classify_socket(address_of(sk));
	if (!class_mark)
		return;
	struct socket_note fresh = {.flags = NOTE_CLASS | NOTE_BEFORE, .class_mark = class_mark};
	struct socket_note *note = bpf_sk_storage_get(&notes, udp, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (!note) {
		r->failed++;
		return;
	}
	note->class_mark = class_mark;
	note->flags |= NOTE_CLASS;
	r->noted++;
}
#endif
