//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs of those who watch. While somebody does, they are attached
 * before and after Waymark's own, in the same hooks, and change nothing;
 * otherwise they are not in the kernel. (Programs at the entries and exits of
 * ours, fentry and fexit, would see verdicts as well, but need a kernel whose
 * text may be changed: this project's own machine has none.)
 */
#include "watch/sight.h"
#include "watch/tell.h"

static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*const bpf_get_current_comm)(void *to, __u32 size) = (void *)16;

enum { TCX_NEXT = -1 };

/* Whether a datagram goes to the peer of its connected socket, as egress has it; a later fragment does not tell the port. */
static __always_inline int goes_to_peer(const struct watch_flow *flow, struct bpf_sock *sk)
{
	__u32 same = 0;

	if (flow->ports[1] && flow->ports[1] != bpf_ntohs(sk->dst_port))
		return 0;
	if (flow->family == AF_INET)
		return flow->addresses[1][0] == sk->dst_ip4;
	for (int i = 0; i < 4; i++)
		same += flow->addresses[1][i] == sk->dst_ip6[i];
	return same == 4;
}

/* The mark that counts: that of a datagram may be its socket's, or what is noted of it. */
static __always_inline __u32 standing(struct __sk_buff *skb, const struct sight *s)
{
	__u32 carried = s->mark;
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk || sk->type != SOCK_DGRAM)
		return carried;
	__u32 own = sk->mark;
	asm volatile("" : "+r"(own)); /* or the compiler calculates with sk, which the verifier forbids */
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	if (!note)
		return carried;
	if (note->flags & NOTE_CLASS || (note->flags & NOTE_ASIDE && sk->dst_port && !goes_to_peer(&s->flow, sk)))
		return note->class_mark;
	return own;
}

/*
 * Tells what became of the packet that this CPU looked at last. That is known
 * when our program has passed it on, when the kernel drops it, or when it comes
 * by once more, on its own uplink.
 */
static __noinline void judge(void)
{
	__u32 zero = 0;
	struct watch_look *l = bpf_map_lookup_elem(&look, &zero);
	struct decision *d = bpf_map_lookup_elem(&decided, &zero);

	if (!l || !d || !l->open)
		return;
	l->open = 0;
	if (d->count == l->decisions)
		return;
	if (is_classed(d->mark))
		l->sight.mark = d->mark; /* classed only now */
	if (d->cause == CAUSE_UNKNOWN)
		return;
	struct watch_told *t = told_of(&l->sight.flow);
	__u64 packets = t ? due(&t->astray_ns, &t->astray) : 0;
	if (!packets)
		return;
	__u32 kind = EVENT_MISROUTE;
	if (d->outcome == OUTCOME_REPAIRED)
		kind = EVENT_REPAIRED;
	else if (d->outcome == OUTCOME_REFUSED)
		kind = EVENT_REFUSED;
	tell(&l->sight, kind, d->cause, 0, packets);
}

SEC("tcx/egress")
int watch_before(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct watch_look *l = bpf_map_lookup_elem(&look, &zero);
	struct decision *d = bpf_map_lookup_elem(&decided, &zero);

	judge();
	if (!l || !d)
		return TCX_NEXT;
	__builtin_memset(&l->sight, 0, sizeof(l->sight));
	if (!see(&l->sight, (const void *)address_of(skb), 0))
		return TCX_NEXT;
	l->sight.mark = standing(skb, &l->sight);
	l->decisions = d->count;
	l->open = 1;
	return TCX_NEXT;
}

/* What our program let go. */
SEC("tcx/egress")
int watch_after(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct watch_look *l = bpf_map_lookup_elem(&look, &zero);

	judge();
	if (l && l->sight.flow.family && !l->sight.later && is_classed(l->sight.mark))
		note_flow(&l->sight);
	return TCX_NEXT;
}

enum { ALLOW = 1 };

/* connect(2) and sendto(2) run in the process that calls them; what leaves may not. */
static __always_inline int note_owner(struct bpf_sock_addr *ctx)
{
	struct watch_owner owner = {.pid = bpf_get_current_pid_tgid() >> 32};
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return ALLOW;
	__u64 address = address_of(sk);
	bpf_get_current_comm(owner.command, sizeof(owner.command));
	bpf_map_update_elem(&owners, &address, &owner, 0);
	return ALLOW;
}

SEC("cgroup/connect4")
int watch_connect4(struct bpf_sock_addr *ctx)
{
	return note_owner(ctx);
}

SEC("cgroup/connect6")
int watch_connect6(struct bpf_sock_addr *ctx)
{
	return note_owner(ctx);
}

SEC("cgroup/sendmsg4")
int watch_sendmsg4(struct bpf_sock_addr *ctx)
{
	return note_owner(ctx);
}

SEC("cgroup/sendmsg6")
int watch_sendmsg6(struct bpf_sock_addr *ctx)
{
	return note_owner(ctx);
}

enum { NOT_DROPPED_YET = 0, CONSUMED = 1 };

/* As the instance has them: see drops.h, which counts the same packets under the same class. */
const volatile __u32 drop_tells_socket;
const volatile __u32 queue_purge;

SEC("tp_btf/kfree_skb")
int watch_dropped(__u64 *ctx)
{
	const struct sock *receiver = drop_tells_socket ? (const struct sock *)ctx[3] : 0;
	const void *skb = (const void *)ctx[0];
	struct sight s = {};
	__u32 reason = ctx[2];

	judge();
	if (reason == NOT_DROPPED_YET || reason == CONSUMED || !see(&s, skb, receiver))
		return 0;
	if (!is_classed(s.mark) && s.sk && reason != queue_purge)
		see_for_socket(&s, skb);
	if (!is_classed(s.mark))
		return 0;
	struct watch_told *t = told_of(&s.flow);
	__u64 packets = t ? due(&t->dropped_ns, &t->dropped) : 0;
	if (packets)
		tell(&s, EVENT_DROPPED, reason, ctx[1], packets);
	return 0;
}

char __license[] SEC("license") = "Dual BSD/GPL";

/* The types that no map names, kept in the BTF for user space. */
const struct {
	struct event event;
	enum event_kind kind;
} *watch_types __attribute__((unused));
