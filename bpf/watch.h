/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is told to those who watch: one event for a flow that begins, for packets
 * of a flow that went astray, and for packets that the kernel dropped.
 */
#ifndef WAYMARK_WATCH_H
#define WAYMARK_WATCH_H

#include "contract.h"
#include "core.h"
#include "decided.h"
#include "mark.h"
#include "notes.h"

/* The constants and maps of the instance that is watched, which are its own. */
const volatile __u64 netns_cookie;

enum event_kind {
	EVENT_OPENED,	/* a class's flow began: its SYN, or its first packet for a minute */
	EVENT_ACCEPTED, /* a SYN-ACK of a class's listener */
	EVENT_MISROUTE, /* packets left by another uplink than their class's */
	EVENT_REPAIRED, /* they were about to, and were sent to the right one */
	EVENT_REFUSED,	/* they were about to, and were not let out */
	EVENT_DROPPED,	/* the kernel dropped packets that carry a class's mark */
};

enum watch_limits {
	COMMAND_BYTES = 16,
	WATCHED_FLOWS = 65536,
	WATCHED_SOCKETS = 16384,
	EVENT_BYTES = 1 << 20, /* of events on their way to user space */
	WAKE_BYTES = 1 << 17,  /* as many of them wake it; fewer wait until it looks */
};

/* Addresses are in network byte order, IPv4 in the first word; ports in host byte order. */
struct watch_flow {
	__u32 addresses[2][4]; /* source, destination */
	__u16 ports[2];
	__u8 family; /* AF_INET or AF_INET6 */
	__u8 proto;
	__u16 unused;
};

struct event {
	__u64 ns;     /* CLOCK_BOOTTIME */
	__u64 cgroup; /* id of the socket's; 0: there is none */
	__u64 place;  /* address in the kernel's code, of a drop */
	__u64 packets; /* that the event is of: with those that went by untold since the flow's last */
	struct watch_flow flow;
	__u32 kind;
	__u32 mark;
	__u32 ifindex; /* by which it was about to leave; 0: none yet */
	__u32 cause;   /* enum misroute_cause */
	__u32 reason;  /* of a drop: enum skb_drop_reason of the running kernel */
	__u32 pid;     /* of the process that connected the socket, or sent by it; 0: not known */
	__u32 uid;     /* of the socket; ~0: there is none */
	char command[COMMAND_BYTES]; /* of the process */
	__u32 unused;
};

/* What was told of a flow. Events of one kind are a second apart. */
struct watch_told {
	__u64 seen_ns;
	__u64 astray_ns;
	__u64 astray;
	__u64 dropped_ns;
	__u64 dropped;
	__u32 sequence; /* of the last SYN, to know it again */
	__u32 unused;
};

/* Who connected a socket, or sent by it without. */
struct watch_owner {
	__u32 pid;
	char command[COMMAND_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_BYTES);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WATCHED_FLOWS);
	__type(key, struct watch_flow);
	__type(value, struct watch_told);
} told SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WATCHED_SOCKETS);
	__type(key, __u64); /* address of the socket */
	__type(value, struct watch_owner);
} owners SEC(".maps");

/* A packet, as it is told of. */
struct sight {
	__u64 sk; /* address of its socket; 0: none that is whole */
	struct watch_flow flow;
	__u32 mark;
	__u32 ifindex;
	__u32 sequence;
	__u8 flags; /* of TCP */
	__u8 later; /* it is not the first fragment, and has no ports */
};

/*
 * The packet that this CPU looked at last. Bottom halves are off from there on
 * until our program has decided about it, so that it decides about no other in between.
 */
struct watch_look {
	struct sight sight;
	__u32 open;	 /* what became of it was not told yet */
	__u32 decisions; /* `count` of them when it came */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct watch_look);
} look SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64); /* events that there was no room for */
} untold SEC(".maps");

#endif
