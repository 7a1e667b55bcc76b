//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs of those who watch. While somebody does, they are attached
 * before and after Waymark's own, in the same hooks, and change nothing;
 * otherwise they are not in the kernel. (Programs at the entries and exits of
 * ours, fentry and fexit, would see verdicts as well, but need a kernel whose
 * text may be changed: this project's own machine has none.)
 */
#include "watch.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net_device___watch {
	int ifindex;
	possible_net_t nd_net;
};

struct sock_common___watch {
	struct sock *skc_listener;
};

struct sock___watch {
	struct sock_common___watch __sk_common;
};

struct sk_buff___watch {
	struct sock *sk;
	struct net_device___watch *dev;
	__u32 mark;
	__u16 protocol;
	__u16 transport_header;
	__u16 network_header;
	unsigned char *head;
};

#pragma clang attribute pop

static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*const bpf_get_current_comm)(void *to, __u32 size) = (void *)16;
static __u64 (*const bpf_ktime_get_boot_ns)(void) = (void *)125;
static void *(*const bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static __u64 (*const bpf_ringbuf_query)(void *ring, __u64 what) = (void *)134;

enum { TCX_NEXT = -1 };
enum { BPF_RB_AVAIL_DATA = 0, BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { TCP_FLAGS = 13, SYN = 2, ACK = 16 };

#define SECOND 1000000000ULL
#define FORGOTTEN (60 * SECOND) /* a flow without a connection that was silent for so long begins anew */

static __always_inline void read_ports(struct sight *s, const unsigned char *at)
{
	__u16 ports[2] = {};

	if (s->flow.proto != IPPROTO_TCP && s->flow.proto != IPPROTO_UDP && s->flow.proto != IPPROTO_SCTP)
		return;
	bpf_probe_read_kernel(ports, sizeof(ports), at);
	s->flow.ports[0] = bpf_ntohs(ports[0]);
	s->flow.ports[1] = bpf_ntohs(ports[1]);
	if (s->flow.proto != IPPROTO_TCP)
		return;
	bpf_probe_read_kernel(&s->sequence, sizeof(s->sequence), at + 4);
	bpf_probe_read_kernel(&s->flags, sizeof(s->flags), at + TCP_FLAGS);
}

enum { SOURCE4 = 12, FRAGMENT4 = 6, PROTOCOL4 = 9, SOURCE6 = 8, PROTOCOL6 = 6, HEADER6 = 40 };

/* Returns whether it is an IP packet. */
static __always_inline int read_headers(struct sight *s, const struct sk_buff___watch *k)
{
	unsigned char *head = 0;
	__u16 network = 0, fragment = 0;
	__u8 first = 0;

	READ(head, k->head);
	READ(network, k->network_header);
	head += network;
	bpf_probe_read_kernel(&first, 1, head);
	if (first >> 4 == 4) {
		s->flow.family = AF_INET;
		bpf_probe_read_kernel(&s->flow.proto, 1, head + PROTOCOL4);
		bpf_probe_read_kernel(&s->flow.addresses[0][0], 4, head + SOURCE4);
		bpf_probe_read_kernel(&s->flow.addresses[1][0], 4, head + SOURCE4 + 4);
		bpf_probe_read_kernel(&fragment, 2, head + FRAGMENT4);
		if (!(bpf_ntohs(fragment) & 0x1fff))
			read_ports(s, head + (first & 15) * 4);
		return 1;
	}
	if (first >> 4 != 6)
		return 0;
	s->flow.family = AF_INET6;
	bpf_probe_read_kernel(&s->flow.proto, 1, head + PROTOCOL6);
	bpf_probe_read_kernel(s->flow.addresses[0], 16, head + SOURCE6);
	bpf_probe_read_kernel(s->flow.addresses[1], 16, head + SOURCE6 + 16);
	read_ports(s, head + HEADER6);
	return 1;
}

/* Returns whether it is an IP packet of the network namespace. */
static __always_inline int see(struct sight *s, const void *skb)
{
	const struct sk_buff___watch *k = skb;
	const struct net_device___watch *dev = 0;
	const struct sock *sk = 0;
	const struct net *net = 0;
	__u64 cookie = 0;
	__u16 protocol = 0;
	__u8 state = 0;

	READ(protocol, k->protocol);
	if (protocol != bpf_htons(ETH_P_IP) && protocol != bpf_htons(ETH_P_IPV6))
		return 0;
	READ(s->mark, k->mark);
	READ(sk, k->sk);
	READ(dev, k->dev);
	if (sk) {
		READ(net, sk->__sk_common.skc_net.net);
		bpf_probe_read_kernel(&state, 1, (const void *)&sk->__sk_common.skc_state);
	} else {
		READ(net, dev->nd_net.net);
	}
	READ(cookie, net->net_cookie);
	if (cookie != netns_cookie)
		return 0;
	READ(s->ifindex, dev->ifindex);
	if (state == TCP_NEW_SYN_RECV) /* of a connection that begins: it is its listener's */
		READ(sk, ((const struct sock___watch *)sk)->__sk_common.skc_listener);
	if (state != TCP_TIME_WAIT)
		s->sk = (__u64)sk;
	return read_headers(s, k);
}

static __always_inline __u64 cgroup_of(const struct sock *sk)
{
	const struct cgroup *cgroup = 0;
	const struct kernfs_node *node = 0;
	__u64 id = 0;

	READ(cgroup, sk->sk_cgrp_data.cgroup);
	READ(node, cgroup->kn);
	READ(id, node->id);
	return id;
}

/* Tells of it. Whoever watches looks now and then; only many events wake him. */
static __noinline void tell(const struct sight *s, __u32 kind, __u32 detail, __u64 place, __u64 packets)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		__u32 zero = 0;
		__u64 *n = bpf_map_lookup_elem(&untold, &zero);
		if (n)
			(*n)++;
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->ns = bpf_ktime_get_boot_ns();
	e->kind = kind;
	e->flow = s->flow;
	e->mark = s->mark;
	e->ifindex = s->ifindex;
	e->packets = packets;
	e->place = place;
	e->uid = ~0U;
	if (kind == EVENT_DROPPED)
		e->reason = detail;
	else
		e->cause = detail;
	if (s->sk) {
		__u64 address = s->sk;
		const struct sock *sk = (const struct sock *)address;
		struct watch_owner *owner = bpf_map_lookup_elem(&owners, &address);
		READ(e->uid, sk->sk_uid.val);
		e->cgroup = cgroup_of(sk);
		if (owner) {
			e->pid = owner->pid;
			__builtin_memcpy(e->command, owner->command, COMMAND_BYTES);
		}
	}
	bpf_ringbuf_submit(e, bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= WAKE_BYTES ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline struct watch_told *told_of(const struct watch_flow *flow)
{
	struct watch_told *t = bpf_map_lookup_elem(&told, flow);

	if (t)
		return t;
	struct watch_told none = {};
	bpf_map_update_elem(&told, flow, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&told, flow);
}

/* One more; returns how many there are to tell of, once a second. */
static __always_inline __u64 due(__u64 *last_ns, __u64 *count)
{
	__u64 now = bpf_ktime_get_ns(), n = ++*count;

	if (*last_ns && now - *last_ns < SECOND)
		return 0;
	*last_ns = now;
	*count = 0;
	return n;
}

static __always_inline void note_flow(const struct sight *s)
{
	struct watch_told *t = told_of(&s->flow);
	__u64 now = bpf_ktime_get_ns();

	if (!t)
		return;
	__u64 before = t->seen_ns;
	t->seen_ns = now;
	if (s->flow.proto == IPPROTO_TCP) {
		if (!(s->flags & SYN) || (before && t->sequence == s->sequence))
			return;
		t->sequence = s->sequence;
		tell(s, s->flags & ACK ? EVENT_ACCEPTED : EVENT_OPENED, 0, 0, 1);
	} else if (!before || now - before > FORGOTTEN) {
		tell(s, EVENT_OPENED, 0, 0, 1);
	}
}

/* The mark that counts: that of a datagram may be its socket's. */
static __always_inline __u32 standing(struct __sk_buff *skb, __u32 carried)
{
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
	return note->flags & NOTE_CLASS ? note->class_mark : own;
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
	if (class_number(d->mark))
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
	if (!see(&l->sight, (const void *)address_of(skb)))
		return TCX_NEXT;
	l->sight.mark = standing(skb, l->sight.mark);
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
	if (l && l->sight.flow.family && class_number(l->sight.mark))
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

SEC("tp_btf/kfree_skb")
int watch_dropped(__u64 *ctx)
{
	struct sight s = {};
	__u32 reason = ctx[2];

	judge();
	if (reason == NOT_DROPPED_YET || reason == CONSUMED || !see(&s, (const void *)ctx[0]))
		return 0;
	if (!class_number(s.mark))
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
