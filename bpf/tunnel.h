/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which packets are a tunnel's of the kernel, around another of the same socket. */
#ifndef WAYMARK_TUNNEL_H
#define WAYMARK_TUNNEL_H

#include "arrival.h"
#include "core.h"
#include "packet.h"
#include "socket.h"

/* What a packet's first header says of the next, and the port behind that; 0: nothing, or it cannot be told. */
static __always_inline __u32 next_header(struct __sk_buff *skb, __u16 *port)
{
	__u8 *header = (__u8 *)(long)skb->data + link_header;
	void *end = (void *)(long)skb->data_end;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if ((void *)header + 22 > end || header[0] != 0x45 || header[6] & 0x1f || header[7])
			return 0;
		*port = header[20] << 8 | header[21];
		return header[9];
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || (void *)header + 42 > end || is_extension(header[6]))
		return 0;
	*port = header[40] << 8 | header[41];
	return header[6];
}

/*
 * Whether a packet goes to whom its socket talks to: the peer that it is
 * connected to, or one that asked it. It is the socket's own then, whatever port
 * somebody gave it (REDIRECT, masquerading).
 */
static __noinline int is_to_peer(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct flow flow = {};
	__u32 same = 0;

	if (!read_packet(skb, &flow))
		return 0;
	if (!sk->dst_port)
		return question_of(sk, &flow) != 0;
	if (flow.ports[1] != bpf_ntohs(sk->dst_port))
		return 0;
	if (flow.family == AF_INET)
		return flow.addresses[1].word[0] == bpf_ntohl(sk->dst_ip4);
	for (int i = 0; i < 4; i++)
		same += flow.addresses[1].word[i] == bpf_ntohl(sk->dst_ip6[i]);
	return same == 4;
}

/*
 * Whether a packet is what a tunnel (IP in IP, GRE, VXLAN) made of its
 * socket's own: it has another protocol or port, or still knows where the
 * header inside is. The mark and the socket are those of the packet inside.
 */
__noinline int is_tunnelled(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	__u16 port = 0;

	if (is_tunnels(skb))
		return 1;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	/* Protocol 0 is that of AF_PACKET, and of no socket at all. */
	if (!sk || !sk->protocol || sk->protocol == IPPROTO_RAW)
		return 0;
	__u32 proto = next_header(skb, &port);
	if (!proto || proto != protocol_of(sk->protocol))
		return proto;
	/* No tunnel is of TCP; and a socket that was closed has no port to compare. */
	return sk->type == SOCK_DGRAM && has_ports(proto) && sk->src_port && port != sk->src_port && !is_to_peer(skb, sk);
}

#endif
