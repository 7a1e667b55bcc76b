/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Datagrams that could not be sent, whoever refused them. */
#ifndef WAYMARK_SENDS_H
#define WAYMARK_SENDS_H

#include "core.h"
#include "count.h"

/* A send that would have to wait, or was interrupted, is one that comes again. */
static __always_inline int is_send_error(int error)
{
	return error > 0 && error != EAGAIN && error != EINTR && error < ERESTARTSYS;
}

static __always_inline void add_send_error(struct class_counters *c, int error)
{
	if (is_unreachable(error)) {
		c->send_unreachable++;
		return;
	}
	switch (error) {
	case ECONNREFUSED:
		c->send_refused++;
		break;
	case EMSGSIZE:
		c->send_too_big++;
		break;
	case ENOBUFS:
		c->send_no_buffers++;
		break;
	default:
		c->send_failed++;
	}
}

/* For every send of every socket; `result` is what the system call returns. */
static __always_inline void count_send(const struct sock *sk, int result)
{
	if (result >= 0 || !is_send_error(-result))
		return;
	__u16 family = sk->__sk_common.skc_family;
	if ((family != AF_INET && family != AF_INET6) || sk->__sk_common.skc_net.net->net_cookie != netns_cookie)
		return;
	__u32 protocol = sk->sk_protocol;
	if (protocol_of(protocol) == IPPROTO_TCP || protocol == IPPROTO_SCTP || is_off(OFF_SENDS))
		return;
	const struct class_entry *class = class_of(sk->sk_mark);
	struct class_counters *c = class ? first_line(class) : 0;
	if (c)
		add_send_error(c, -result);
}
#endif
