/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the programs and user space: every map, key and
 * value, in prose. User space takes its types from these files' BTF.
 *
 * WORDS
 *   number   a class as an integer; 0 is "unclassed". The fwmark carries it,
 *            spread over the bits of the instance's mask, lowest bit first.
 *   slot     a class's line in `counters`; it stays with the class when its
 *            number changes. Slot 0 counts what is unclassed.
 *   uplink   an uplink as an integer from 0, in the policy's order.
 *   match    one line of the policy, as an integer from 0, in file order.
 *            The lowest that holds wins.
 *
 * VERSIONS
 *   `live` is the generation of the table that is in force, one more whenever
 *   another comes into force, the one before it again included; 0: none ever was.
 *   Its lowest bit says which of the two versions it is. A version is
 *   `tables[v]` and `cgroups[v]`, built while the other is in force, and
 *   published by the one store to `live`. A program reads `live` once, so a
 *   packet never sees a mix. What `microflows` remembers is of a generation. A version that was never filled has no inner
 *   map and classes nothing.
 *
 * PARTS, in contract/
 *   limits.h     how many there can be of each
 *   table.h      which match of the policy wins
 *   cgroup.h     which cgroups it names
 *   class.h      classes and uplinks
 *   inside.h     networks that no uplink is for, and addresses that are one's own
 *   misroute.h   packets on the wrong way
 *   counters.h   what is counted of a class and uplink
 *   times.h      how long things took
 *   telemetry.h  drops and hits, and what is not counted
 *   note.h       what is remembered of single sockets and connections
 *   walk.h       walks over the open sockets
 *
 * BUILDS
 *   An instance is of one build of this object: programs never meet maps that
 *   another build filled, so all that is here may change from one build to
 *   the next. A build that finds another's instance makes one of its own, gives
 *   that one's links its programs, and takes over these things, by which every
 *   build, newer or older, has to abide:
 *
 *   counters  What the older instance counted, its own `earlier` included, is
 *             added up in `earlier`, line by line; a line is what both maps
 *             say together. struct class_counters holds __u64 alone, and arrays
 *             of them. Fields are found by their names in the older map's BTF,
 *             and by their place where it has none: so no field changes its
 *             meaning under its name, and new ones go to the end. What one of
 *             the two does not know is lost on the way; where a line is, says
 *             the older instance's number of uplinks.
 *   classes   While both are there, CLASS_ANYWHERE in `flags` of a struct
 *             class_entry.
 *   notes     `arrivals` and `endings` are shared, if the mask and the maps' sizes are the
 *             same. No flag and no field of theirs changes its meaning; a build
 *             that needs another one changes the size.
 *   times     and `connecting` are shared if their sizes are the same, whatever the
 *             mask: a key of times says slot and uplink, and no line that another
 *             number of uplinks would give another meaning.
 *   incoming  and `incoming_told`, which no program knows, are shared in the same way.
 *   drops     is shared if its sizes are the same. While two instances' programs are
 *             attached, the newer one's count no drops and no times in the queue.
 *   hits      and `matches` of the version in force are read, if their sizes are the
 *             same, and added to `earlier` of the line of the same id.
 */
#ifndef WAYMARK_CONTRACT_H
#define WAYMARK_CONTRACT_H

#include "contract/cgroup.h"
#include "contract/class.h"
#include "contract/counters.h"
#include "contract/inside.h"
#include "contract/limits.h"
#include "contract/misroute.h"
#include "contract/note.h"
#include "contract/table.h"
#include "contract/telemetry.h"
#include "contract/times.h"
#include "contract/walk.h"
#include "kernel.h"

#endif
