/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of a TCP connection: what became of it, how long it took, its
 * round-trip times. The kernel calls only for connections that asked for it,
 * and those do that leave by an uplink when they start.
 */
#ifndef WAYMARK_CONNECTION_H
#define WAYMARK_CONNECTION_H

#include "core.h"
#include "count.h"

enum { CONNECTING = 8192 };

/*
 * When a socket sent its first SYN. The slot is a hash of the socket's
 * address; another that takes it costs the first its connect time, and never
 * gives it a wrong one.
 */
struct connect_start {
	__u64 socket;
	__u64 ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONNECTING);
	__type(key, __u32);
	__type(value, struct connect_start);
} connecting SEC(".maps");

static __always_inline struct connect_start *start_of(__u64 socket)
{
	__u32 slot = (__u32)(socket >> 6) * 0x9e3779b1U >> 19;

	return bpf_map_lookup_elem(&connecting, &slot);
}

/* A connection as its calls see it. */
struct connection {
	const struct sock *sk;
	const struct class_entry *class;
	__u32 number; /* of the uplink it leaves by */
	struct class_counters *c;
};

static __always_inline const struct sock *kernel_sock(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	if (!bpf_cast_to_kern_ctx)
		return (const struct sock *)bpf_skc_to_tcp_sock(sk);
	const struct bpf_sock_ops_kern *kernel_ctx = bpf_cast_to_kern_ctx(ctx);
	return kernel_ctx->sk;
}

/* Returns whether it is one of ours, by an uplink; one without a route is on its class's way. */
static __always_inline int find_connection(struct connection *of, struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	const struct sock *kernel_sk = kernel_sock(ctx, sk);

	if (!kernel_sk || kernel_sk->__sk_common.skc_net.net->net_cookie != netns_cookie)
		return 0;
	of->sk = kernel_sk;
	of->class = class_of(sk->mark);
	if (!of->class)
		return 0;
	const struct dst_entry *route = kernel_sk->sk_dst_cache;
	if (unlikely(!route))
		of->number = first_way(of->class);
	else
		of->number = uplink_of(of->class, route->dev->ifindex);
	if (of->number == NO_UPLINK)
		return 0;
	of->c = counters_of(of->class, of->number);
	return of->c != 0;
}

/* Asks the kernel to call when something becomes of a connection. */
static __always_inline void follow(struct bpf_sock_ops *ctx)
{
	__u32 calls = 0;

	if (!is_off(OFF_RTT))
		calls |= BPF_SOCK_OPS_RTT_CB_FLAG;
	if (!is_off(OFF_CONNECT))
		calls |= BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG;
	if (calls)
		bpf_sock_ops_cb_flags_set(ctx, ctx->cb_flags | calls);
}

static __always_inline void start(struct bpf_sock *sk)
{
	__u64 socket = address_of(sk);
	struct connect_start *s = start_of(socket);

	if (!s || is_off(OFF_CONNECT))
		return;
	s->socket = 0; /* nobody's, while it is being written */
	s->ns = bpf_ktime_get_ns();
	s->socket = socket;
}

static __always_inline void opened(struct bpf_sock *sk, struct connection *of)
{
	__u64 socket = address_of(sk);
	struct connect_start *s = start_of(socket);

	of->c->opened++;
	if (!s || s->socket != socket)
		return;
	__u64 took = bpf_ktime_get_ns() - s->ns;
	s->socket = 0;
	of->c->connect_ns += took;
	observe(of->class->slot, of->number, TIME_CONNECT, took, 1);
}

static __always_inline int is_one_of_many(struct bpf_sock_ops *ctx)
{
	return ctx->segs_in >= RTT_EACH && ctx->args[0] < RTT_SHORT;
}

/* By a hash of what came before it: what comes in step must not be met always, nor never. */
static __always_inline int is_sample(struct bpf_sock_ops *ctx)
{
	return !is_one_of_many(ctx) || ctx->segs_in * 0x9e3779b1U < 0xffffffffU / RTT_SAMPLE;
}

static __always_inline void measured(struct bpf_sock_ops *ctx, struct connection *of)
{
	__u32 for_all = is_one_of_many(ctx) ? RTT_SAMPLE : 1;
	/* Before 6.10 the measurement itself is not told, but what is made of it. */
	__u64 ns = (ctx->args[0] ? ctx->args[0] : ctx->srtt_us >> 3) * 1000ULL;

	of->c->rtt_ns += ns * for_all;
	observe(of->class->slot, of->number, TIME_RTT, ns, for_all);
}

/* A connect that came to nothing. */
static __always_inline void failed(struct class_counters *c, int error)
{
	if (error == ECONNREFUSED)
		c->refused_connects++;
	else if (error == ETIMEDOUT)
		c->timed_out++;
	else if (is_unreachable(error))
		c->unreachable++;
	else
		c->failed++;
}

static __always_inline void closed(struct bpf_sock_ops *ctx, struct connection *of)
{
	int error = of->sk->sk_err;

	if (ctx->args[0] == TCP_SYN_SENT) {
		failed(of->c, error);
		return;
	}
	of->c->closed++;
	/* A reset of what the peer had closed already is an EPIPE. */
	of->c->aborted += error == ECONNRESET || error == EPIPE;
	/* Where the network said meanwhile that there is no way, a timeout ends with that. */
	of->c->lost += error == ETIMEDOUT || is_unreachable(error);
}

/* Whether a call is of anything that is counted: most are not, and are answered before the connection is looked for. */
static __always_inline int is_counted(struct bpf_sock_ops *ctx)
{
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		return 1; /* whatever is on is asked for then */
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		return !is_off(OFF_CONNECT);
	case BPF_SOCK_OPS_STATE_CB:
		return ctx->args[1] == TCP_CLOSE && !is_off(OFF_CONNECT);
	case BPF_SOCK_OPS_RETRANS_CB:
		return !ctx->args[2] && !is_off(OFF_CONNECT);
	case BPF_SOCK_OPS_RTT_CB:
		return !is_off(OFF_RTT) && is_sample(ctx);
	}
	return 0;
}

static __always_inline void follow_connection(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct connection of = {};

	if (!find_connection(&of, ctx, sk))
		return;
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		follow(ctx);
		start(sk);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		opened(sk, &of);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		follow(ctx);
		of.c->accepted += !is_off(OFF_CONNECT);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		closed(ctx, &of);
		break;
	case BPF_SOCK_OPS_RETRANS_CB:
		of.c->retransmitted += ctx->args[1];
		break;
	case BPF_SOCK_OPS_RTT_CB:
		measured(ctx, &of);
		break;
	}
}
#endif
