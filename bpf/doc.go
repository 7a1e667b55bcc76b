// SPDX-License-Identifier: Apache-2.0

// Package bpf holds the C programs, the contract header that user space and
// kernel share, and the Go bindings generated from them.
package bpf

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -no-global-types -type table_header -type table_cell -type cgroup_start -type text_cell -type arming -type class_entry -type uplink_entry -type class_counters -type mask_run -type limits -type field -type ref_kind -type class_flags -type uplink_flags -type misroute_cause -type note_flags -type socket_note -type walk_result -type inside_prefix -type pin -type fate -type ending -type arrival -type walk_versions -type walk_order -type time_kind -type time_limits -type time_key -type time_octave -type telemetry_off -type open_flows -type drop_key -type queue_limits -type rtt_limits -type hit_limits -type match_line -type told_flow -type turn -type turn_cause -type incoming_volumes -type volumes -type volume Waymark waymark.c -- -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -mcpu=v3
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -no-global-types -type event -type event_kind -type watch_flow -type watch_told Watch watch.c -- -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Wno-unused-function -mcpu=v3
