/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The part of the kernel's interface that the programs use, as
 * include/uapi/linux defines it. It stands here so that the compiled object
 * depends on the compiler alone and not on the headers that a machine happens
 * to have. (What is read of its own structures is in btf.h.)
 */
#ifndef WAYMARK_KERNEL_H
#define WAYMARK_KERNEL_H

#include "kernel/calls.h"
#include "kernel/constants.h"
#include "kernel/contexts.h"

#endif
