/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is remembered of single sockets: the watch has the map of the instance that it watches. */
#ifndef WAYMARK_NOTES_H
#define WAYMARK_NOTES_H

#include "contract.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __s32);
	__type(value, struct socket_note);
} notes SEC(".maps");

#endif
