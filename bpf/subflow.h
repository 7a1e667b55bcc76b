/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The further subflows of an MPTCP connection: the kernel makes and connects
 * them, from a thread of its own or from whatever process tells it of an
 * address. Whose they are, only their connection knows.
 */
#ifndef WAYMARK_SUBFLOW_H
#define WAYMARK_SUBFLOW_H

#include "core.h"
#include "remark.h"

/* The MPTCP connection that a socket is to join; 0: it is connected by its own process. */
static __always_inline const struct sock *joined(struct bpf_sock *sk)
{
	const struct inet_connection_sock *socket = (const struct inet_connection_sock *)address_of(sk);
	const struct tcp_sock *tcp = (const struct tcp_sock *)socket;
	const struct mptcp_subflow_context *subflow = 0;
	const struct sock *connection = 0;

	if (!FIELD_INFO(subflow->conn, FIELD_EXISTS) || sk->protocol != IPPROTO_TCP || !READ_BITS(tcp, is_mptcp))
		return 0;
	READ(subflow, socket->icsk_ulp_data);
	if (!subflow || !READ_BITS(subflow, request_join))
		return 0;
	READ(connection, subflow->conn);
	return connection;
}

/* The mark of the class of a flow by the cgroup that a socket was made in; 0: none. */
static __noinline __u32 classify_by_socket(__u64 socket, const struct flow *flow)
{
	__u32 generation = live_generation(), version = version_of(generation), set = 0;
	const struct table_header *h = header_of(version);

	if (!h)
		return 0;
	if (names_cgroups(h))
		set = find_socket_cgroup_set(socket, version, h->cgroup_levels, h->no_cgroup);
	return classify_in(version, h, set, flow, generation);
}

/* The mark of the class of a flow that is being connected; 0: none. */
static __always_inline __u32 classify_connect(struct bpf_sock *sk, struct flow *flow)
{
	const struct sock *connection = joined(sk);

	if (!connection)
		return classify_task(flow);
	READ(flow->uid, connection->sk_uid.val);
	return classify_by_socket((__u64)connection, flow);
}
#endif
