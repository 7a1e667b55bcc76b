/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The extension headers of IPv6. */
#ifndef WAYMARK_EXTENSION_H
#define WAYMARK_EXTENSION_H

#include "contract.h"

enum { MAX_EXTENSIONS = 8 };

static __always_inline int is_extension(__u32 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT || proto == IPPROTO_AH || proto == IPPROTO_MH;
}

/* The size of one, of which `length` is the second byte. */
static __always_inline __u32 extension_size(__u32 proto, __u8 length)
{
	if (proto == IPPROTO_FRAGMENT)
		return 8;
	if (proto == IPPROTO_AH)
		return (length + 2) * 4;
	return (length + 1) * 8;
}

#endif
