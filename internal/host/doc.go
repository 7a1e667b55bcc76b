// SPDX-License-Identifier: Apache-2.0

// Package host turns names into numbers (cgroup paths, users, links,
// gateways) and says when they change; it does what else the loader needs of
// the host beside rules and programs: sysctls, sockets, scopes, files.
//
// What concerns a network or mount namespace is answered for the calling
// thread's; a caller in a namespace of its own locks its thread.
package host
