/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is seen of a packet by those who watch, read from the kernel's own structures. */
#ifndef WAYMARK_WATCH_SIGHT_H
#define WAYMARK_WATCH_SIGHT_H

#include "../extension.h"
#include "../watch.h"

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
	int skb_iif;
	__u32 mark;
	__u16 protocol;
	__u16 transport_header;
	__u16 network_header;
	unsigned char *head;
};

#pragma clang attribute pop

enum { TCP_FLAGS = 13 };

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

/* What is behind IPv6's own header and its extensions, as many as packet.h reads. */
static __always_inline void read_behind(struct sight *s, const unsigned char *at)
{
	for (int i = 0; i < MAX_EXTENSIONS && is_extension(s->flow.proto); i++) {
		__u8 head[4] = {};
		bpf_probe_read_kernel(head, sizeof(head), at);
		if (s->flow.proto == IPPROTO_FRAGMENT)
			s->later = head[2] || head[3] & 0xf8;
		at += extension_size(s->flow.proto, head[1]);
		s->flow.proto = head[0];
		if (s->later)
			return; /* data, whatever it looks like */
	}
	read_ports(s, at);
}

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
		s->later = (bpf_ntohs(fragment) & 0x1fff) != 0;
		if (!s->later)
			read_ports(s, head + (first & 15) * 4);
		return 1;
	}
	if (first >> 4 != 6)
		return 0;
	s->flow.family = AF_INET6;
	bpf_probe_read_kernel(&s->flow.proto, 1, head + PROTOCOL6);
	bpf_probe_read_kernel(s->flow.addresses[0], 16, head + SOURCE6);
	bpf_probe_read_kernel(s->flow.addresses[1], 16, head + SOURCE6 + 16);
	read_behind(s, head + HEADER6);
	return 1;
}

/* Returns whether it is an IP packet of the network namespace. Who it was for may be known where it has no socket. */
static __always_inline int see(struct sight *s, const void *skb, const struct sock *receiver)
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
	if (!sk)
		sk = receiver;
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

/* Gives a packet without a class that of its socket. One that came in is told from the socket's end. */
static __always_inline void see_for_socket(struct sight *s, const void *skb)
{
	const struct sk_buff___watch *k = skb;
	struct watch_flow came = s->flow;
	int iif = 0;

	READ(s->mark, ((const struct sock *)s->sk)->sk_mark);
	READ(iif, k->skb_iif);
	if (!iif)
		return;
	s->ifindex = 0;
	for (int i = 0; i < 2; i++) {
		__builtin_memcpy(s->flow.addresses[i], came.addresses[!i], sizeof(came.addresses[0]));
		s->flow.ports[i] = came.ports[!i];
	}
}

#endif
