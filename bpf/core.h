/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the helpers do not tell of a socket, read from the kernel's own
 * structures. Offsets are put right at load, from the kernel's BTF.
 */
#ifndef WAYMARK_CORE_H
#define WAYMARK_CORE_H

#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock {
	__u8 sk_userlocks;
};

struct rt6key {
	int plen;
};

struct fib6_table {
	__u32 tb6_id;
};

struct fib6_info {
	struct fib6_table *fib6_table;
	struct rt6key fib6_dst;
};

struct rt6_info {
	struct fib6_info *from;
};

struct sk_buff {
	unsigned long _skb_refdst; /* a struct dst_entry, with a flag in the lowest bit */
};

#pragma clang attribute pop

enum { SOCK_BINDADDR_LOCK = 4 };

static long (*const bpf_probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;

/* Whether the application bound the socket to an address. */
static __always_inline int address_is_bound(struct bpf_sock *sk)
{
	const struct sock *kernel_sk = 0;
	__u8 locks = 0;

	/* The verifier lets nobody calculate with a bpf_sock; a copy of the pointer is a number. */
	bpf_probe_read_kernel(&kernel_sk, sizeof(kernel_sk), &sk);
	bpf_probe_read_kernel(&locks, sizeof(locks), &kernel_sk->sk_userlocks);
	return locks & SOCK_BINDADDR_LOCK;
}
enum { TABLE_MAIN = 254 };

/*
 * Whether an IPv6 packet left by a route of main that is more than its
 * default. Its route has to be looked at itself: bpf_fib_lookup takes no
 * notice of suppress_prefixlength for IPv6 (fib6_rule_suppress wants a
 * rt6_info, and the lookup has none).
 */
static __always_inline int left_by_more_than_default(struct __sk_buff *skb)
{
	const struct sk_buff *kernel_skb = 0;
	unsigned long reference = 0;
	const struct fib6_info *from = 0;
	const struct fib6_table *table = 0;
	__u32 id = 0;
	int plen = 0;

	bpf_probe_read_kernel(&kernel_skb, sizeof(kernel_skb), &skb);
	bpf_probe_read_kernel(&reference, sizeof(reference), &kernel_skb->_skb_refdst);
	const struct rt6_info *route = (const struct rt6_info *)(reference & ~1UL);
	if (!route)
		return 0;
	bpf_probe_read_kernel(&from, sizeof(from), &route->from);
	bpf_probe_read_kernel(&table, sizeof(table), &from->fib6_table);
	bpf_probe_read_kernel(&id, sizeof(id), &table->tb6_id);
	bpf_probe_read_kernel(&plen, sizeof(plen), &from->fib6_dst.plen);
	return id == TABLE_MAIN && plen > 0;
}
#endif
