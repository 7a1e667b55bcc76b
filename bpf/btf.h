/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's own structures, as much of them as is read. Offsets are put
 * right at load, from the kernel's BTF.
 */
#ifndef WAYMARK_BTF_H
#define WAYMARK_BTF_H

#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	__u32 val;
} kuid_t;

struct kernfs_node {
	__u64 id;
	const char *name;
};

struct cgroup_root {
	int hierarchy_id; /* 0: cgroup2 */
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
	struct cgroup *ancestors[];
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct in6_addr {
	union {
		__u32 u6_addr32[4];
	} in6_u;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct ipv4_devconf {
	int data[32];
};

struct in_device {
	struct ipv4_devconf cnf;
};

struct netns_ipv4 {
	struct ipv4_devconf *devconf_all;
};

struct net {
	struct hlist_head *dev_index_head;
	__u64 net_cookie;
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	unsigned int flags;
	unsigned long state;
	int ifindex;
	struct hlist_node index_hlist;
	const unsigned char *dev_addr;
	possible_net_t nd_net;
	struct in_device *ip_ptr;
};

struct dst_entry {
	struct net_device *dev;
};

struct sock_common {
	possible_net_t skc_net;
	__u16 skc_family;
	volatile __u8 skc_state;
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport; /* network byte order */
	__u16 skc_num;
	__u8 skc_reuseport : 1;
	int skc_bound_dev_if;
	struct {
		long long counter;
	} skc_cookie;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct inode {
	unsigned long i_ino;
};

struct socket {
	short type;
};

/* A socket and the inode by which a process's descriptors name it are one allocation. */
struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	__u8 sk_userlocks;
	__u8 sk_kern_sock : 1;
	__u16 sk_type;
	__u16 sk_protocol;
	__u32 sk_mark;
	int sk_err;
	struct dst_entry *sk_dst_cache;
	kuid_t sk_uid;
	struct sock_cgroup_data sk_cgrp_data;
	void *sk_bpf_storage;
};

struct in6_pktinfo {
	int ipi6_ifindex;
};

struct ipv6_pinfo {
	struct in6_pktinfo sticky_pktinfo;
	int ucast_oif;
};

struct inet_sock {
	struct ipv6_pinfo *pinet6;
	__u32 inet_saddr; /* of IPv6: what was bound, and not what it is */
	int uc_index;
};

/* What a datagram's sender says beside it, on the kernel's stack: of IPv4, and of IPv6. */
struct ipcm_cookie {
	__u32 addr;
	int oif;
};

struct flowi_common {
	int flowic_oif;
};

struct flowi6 {
	struct flowi_common __fl_common;
	struct in6_addr saddr;
};

struct inet_connection_sock {
	void *icsk_ulp_data;
};

struct tcp_sock {
	__u32 write_seq;
	__u8 is_mptcp : 1;
};

struct mptcp_subflow_context {
	__u32 request_join : 1;
	struct sock *conn;
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

struct rtable {
	unsigned int rt_flags;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst; /* a struct dst_entry, with a flag in the lowest bit */
	__u16 tc_index;
	__u32 mark;
	__u16 network_header;
	__u16 inner_network_header;
};

struct bpf_sock_addr_kern {
	void *t_ctx; /* where sendmsg's source is: in an ipcm_cookie, or a flowi6 */
};

struct bpf_sock_ops_kern {
	struct sock *sk;
};

#pragma clang attribute pop
#endif
