//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Waymark's programs. The cgroup hooks put the class's mark on a socket
 * before the kernel chooses its route; tc egress counts what leaves.
 */
#include "contract.h"
#include "arm.h"
#include "arrival.h"
#include "connect.h"
#include "connection.h"
#include "drops.h"
#include "egress.h"
#include "flows.h"
#include "forwarded.h"
#include "guard.h"
#include "queue.h"
#include "received.h"
#include "refuse.h"
#include "remark.h"
#include "sends.h"
#include "socket.h"

enum { ALLOW = 1 };

SEC("cgroup/sock_create")
int sock_create(struct bpf_sock *sk)
{
	if (sk->family != AF_INET && sk->family != AF_INET6)
		return ALLOW;
	if (bpf_get_netns_cookie(sk) != netns_cookie)
		return ALLOW;

	struct flow flow = {
		.proto = protocol_of(sk->protocol),
	};
	__u32 class_mark = classify_task(&flow);
	if (class_mark)
		sk->mark = with_class(sk->mark, class_mark);
	return ALLOW;
}

/* The flow of a connect or a sendmsg, without its addresses and its uid. */
static __always_inline struct flow flow_of(struct bpf_sock_addr *ctx, __u32 family)
{
	return (struct flow){
		.family = family,
		.proto = protocol_of(ctx->protocol),
		.ports = {ctx->sk ? ctx->sk->src_port : 0, bpf_ntohs(ctx->user_port)},
	};
}

/* Whether a socket that connects is of our namespace. One that is not begins another flow than it was kept with. */
static __always_inline int is_here(struct bpf_sock_addr *ctx, struct bpf_sock *sk)
{
	if (bpf_get_netns_cookie(ctx) == netns_cookie)
		return 1;
	struct socket_note *note = note_of(sk);
	if (note)
		note->flags = 0;
	return 0;
}

#define HOST_WORDS(a) {{bpf_ntohl((a)[0]), bpf_ntohl((a)[1]), bpf_ntohl((a)[2]), bpf_ntohl((a)[3])}}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk || !is_here(ctx, sk))
		return ALLOW;

	struct flow flow = flow_of(ctx, AF_INET);
	flow.addresses[0].word[0] = bpf_ntohl(sk->src_ip4);
	flow.addresses[1].word[0] = bpf_ntohl(ctx->user_ip4);
	mark_connect(ctx, sk, &flow);
	stay_where_asked(ctx, sk, &flow);
	return ALLOW;
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk || !is_here(ctx, sk))
		return ALLOW;

	struct flow flow = flow_of(ctx, AF_INET6);
	flow.addresses[0] = (struct words)HOST_WORDS(sk->src_ip6);
	flow.addresses[1] = (struct words)HOST_WORDS(ctx->user_ip6);
	if (is_v4_mapped(&flow.addresses[1]))
		unmap(&flow);
	mark_connect(ctx, sk, &flow);
	if (stay_where_asked(ctx, sk, &flow) || flow.family == AF_INET)
		return ALLOW;
	return verdict(sk, sk->mark, &flow.addresses[1]);
}

/*
 * The mark that a sendmsg hook sets steers from the next datagram on: the
 * kernel has copied the old one. This datagram is steered by its source: an
 * unbound one is given the address of its class's uplink, and the rule for
 * that address does the rest.
 */
SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk || bpf_get_netns_cookie(ctx) != netns_cookie)
		return ALLOW;
	/* Every datagram of a connected v4-mapped socket comes by here; connect6 has decided on it. */
	if (sk->family == AF_INET6 && sk->dst_port && sk->dst_ip6[3] == ctx->user_ip4)
		return ALLOW;
	if (!ctx->user_family) {
		note_beside(ctx, sk, AF_INET);
		return ALLOW;
	}

	struct flow flow = flow_of(ctx, AF_INET);
	flow.addresses[0].word[0] = bpf_ntohl(ctx->msg_src_ip4);
	flow.addresses[1].word[0] = bpf_ntohl(ctx->user_ip4);

	__u32 old = sk->mark;
	struct socket_note *note = note_of(sk);
	struct steering s = mark_datagram(ctx, sk, note, &flow);
	struct words asked = {}, destination = mapped(flow.addresses[1].word[0]);
	int bound = !!sk->src_ip4, named = !bound && (ctx->msg_src_ip4 || answers_at(ctx, sk, s.mark, &flow, &asked));
	if (named || s.noted)
		note_datagram(sk, note, &flow, s.mark, named ? s.flags | NOTE_SOURCE : s.flags);
	if (bound)
		return ALLOW;
	if (!named && s.mark != old && !verdict(sk, s.mark, &destination))
		return 0;
	if (asked.word[0])
		ctx->msg_src_ip4 = bpf_ntohl(asked.word[0]);
	else if (!named && s.uplink && s.uplink->source4 && !goes_past_uplinks(s.mark, &destination))
		ctx->msg_src_ip4 = s.uplink->source4;
	return ALLOW;
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk || bpf_get_netns_cookie(ctx) != netns_cookie)
		return ALLOW;
	if (!ctx->user_family) {
		note_beside(ctx, sk, AF_INET6);
		return ALLOW;
	}

	struct flow flow = flow_of(ctx, AF_INET6);
	flow.addresses[0] = (struct words)HOST_WORDS(ctx->msg_src_ip6);
	flow.addresses[1] = (struct words)HOST_WORDS(ctx->user_ip6);

	struct socket_note *note = note_of(sk);
	struct steering s = mark_datagram(ctx, sk, note, &flow);
	struct words source = {};
	int bound = !!(sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3]);
	int named = !bound && (!is_unspecified(&flow.addresses[0]) || answers_at(ctx, sk, s.mark, &flow, &source));
	if (named || s.noted)
		note_datagram(sk, note, &flow, s.mark, named ? s.flags | NOTE_SOURCE : s.flags);
	if (bound)
		return ALLOW;
	if (!named && !verdict(sk, s.mark, &flow.addresses[1]))
		return 0;
	if (!named && s.uplink && !goes_past_uplinks(s.mark, &flow.addresses[1]))
		to_words(&source, s.uplink->source6);
	if (is_unspecified(&source))
		return ALLOW;
	ctx->msg_src_ip6[0] = bpf_ntohl(source.word[0]);
	ctx->msg_src_ip6[1] = bpf_ntohl(source.word[1]);
	ctx->msg_src_ip6[2] = bpf_ntohl(source.word[2]);
	ctx->msg_src_ip6[3] = bpf_ntohl(source.word[3]);
	return ALLOW;
}

SEC("tcx/egress")
int egress(struct __sk_buff *skb)
{
	return egress_impl(skb);
}

SEC("cgroup/setsockopt")
int setsockopt(struct bpf_sockopt *ctx)
{
	if (bpf_get_netns_cookie(ctx) != netns_cookie)
		return ALLOW;
	return guard_mark(ctx);
}

/* An accepted connection inherits its listener's class, and leaves where it came in. */
SEC("sockops")
int accepted(struct bpf_sock_ops *ctx)
{
	if (!is_counted(ctx))
		return ALLOW;
	struct bpf_sock *sk = ctx->sk;
	if (!sk)
		return ALLOW;
	follow_connection(ctx, sk);
	if (ctx->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || !is_classed(sk->mark))
		return ALLOW;
	if (bpf_get_netns_cookie(ctx) != netns_cookie)
		return ALLOW;

	struct socket_note inbound = {.flags = NOTE_INBOUND};
	bpf_sk_storage_get(&notes, sk, &inbound, BPF_SK_STORAGE_GET_F_CREATE);
	return ALLOW;
}

/* Before kernfs shows the new cgroup, so before anything can enter it. */
SEC("tp_btf/cgroup_mkdir")
int arm(__u64 *args)
{
	arm_impl((const struct cgroup *)args[0]);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int disarm(__u64 *args)
{
	disarm_impl((const struct cgroup *)args[0]);
	return 0;
}

SEC("tp_btf/kfree_skb")
int dropped(__u64 *args)
{
	const struct sk_buff *skb = (const struct sk_buff *)args[0];
	const struct sock *sk = skb->sk;

	if (!sk && drop_tells_socket)
		sk = (const struct sock *)args[3];
	count_drop(skb, args[1], args[2], sk);
	return 0;
}

/* The driver takes a packet. */
SEC("tp_btf/net_dev_start_xmit")
int departs(__u64 *args)
{
	leave_queue((const struct sk_buff *)args[0]);
	return 0;
}

/* A send ends; there since 6.3. */
SEC("tp_btf/sock_send_length")
int sends(__u64 *args)
{
	count_send((const struct sock *)args[0], args[1]);
	return 0;
}

SEC("iter/tcp")
int remark_tcp(struct bpf_iter__tcp *ctx)
{
	if (ctx->sk_common)
		remark_tcp_impl(ctx->meta, ctx->sk_common);
	return 0;
}

SEC("iter/udp")
int note_udp(struct bpf_iter__udp *ctx)
{
	if (ctx->udp_sk)
		note_udp_impl(ctx->meta, ctx->udp_sk);
	return 0;
}

SEC("iter/tcp")
int count_tcp(struct bpf_iter__tcp *ctx)
{
	if (ctx->sk_common)
		count_tcp_flow(ctx->meta, ctx->sk_common);
	return 0;
}

SEC("iter/udp")
int count_udp(struct bpf_iter__udp *ctx)
{
	if (ctx->udp_sk)
		count_udp_flow(ctx->meta, ctx->udp_sk);
	return 0;
}

/* What comes in by an uplink to a class's sockets is counted; a server that is bound to no address has to know where it was asked. */
SEC("cgroup_skb/ingress")
int arrive(struct __sk_buff *skb)
{
	receive(skb);
	return ALLOW;
}

/* At an uplink. */
SEC("tcx/ingress")
int enters(struct __sk_buff *skb)
{
	enter(skb);
	return TCX_NEXT;
}

SEC("tcx/ingress")
int ingress(struct __sk_buff *skb)
{
	return ingress_impl(skb);
}

char __license[] SEC("license") = "Dual BSD/GPL";

/* The types of the contract that no map names, kept in the BTF for user space. */
const struct {
	struct table_header header;
	struct table_cell cell;
	struct cgroup_start start;
	struct text_cell text;
	struct mask_run run;
	enum limits limits;
	enum field field;
	enum ref_kind ref;
	enum class_flags class;
	enum uplink_flags uplink;
	enum misroute_cause cause;
	enum note_flags note;
	struct socket_note socket;
	struct walk_result walk;
	struct told_flow told;
	enum turn_cause turn;
	struct inside_prefix inside;
	struct pin pin;
	enum last_words words;
	enum fate open;
	enum walk_versions versions;
	enum time_kind time;
	enum time_limits times;
	enum telemetry_off off;
	enum hit_limits hit;
	enum queue_limits queue;
	enum rtt_limits rtt;
} *contract_types __attribute__((unused));
