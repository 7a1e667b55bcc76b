// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strings"
)

// rows are the tests of package test that every kernel is put to: the packets
// and the traffic table. An emulated kernel is ten to fifteen times slower
// than the machine, an apply takes it ten seconds, and most tests say the same
// of every kind of socket in every family: of those a part is run, behind the
// name and in the form of `go test -run`.
var rows = []string{
	"TestPackets", "TestMarkedPacketsKeepTheirs", "TestMalformedPacketsAreCounted", "FuzzPacket",
	"TestOracle/^(1|64|300)_lines$/^0$",
	"TestFirstPacket/^(cgroup|destination)$/^(tcp|mptcp|sendto|ping)$",
	"TestUnconnectedSocketWithManyDestinations/first|fragments/^IPv",
	"TestMarkOfAnApplication/^(its_own_and_others'_bits|another_class's)$/^(tcp|sendto)$/^IPv4",
	"TestMarkOfOthers//^IPv6",
	"TestOpenedBeforeApply/^IPv4/^TCP",
	"TestInbound/^classed$/^by_uplink_1$/^(TCP|plain_UDP|UDP_that_connects)$", "TestKernelsOwnAnswers/^(echo|tcp_refused)_by_uplink_1$", "TestEndOfConnections/^(host|container)$/^IPv4", "TestResetsFromBehind",
	"TestForwarded/^(bridge_and_port,_in_fragments|destination)$",
	"TestPortForwards/^by_uplink_1$//^port_8080$",
	"TestForwardedTagged", "TestContainers//^(cgroup|destination)$/^tcp$/^IPv",
	"TestTagged/^IPv/tcp", "TestTunnels/^(ipip|ip6gre|vxlan|wireguard)$/^(unclassed|by_destination)$",
	"TestRawHeader//^IPv4", "TestRing//^IPv4", "TestPacketSocket//^IPv4", "TestSegmentsAreCounted",
	"TestApplicationsChoice//^rawping$/^IPv4", "TestNoMisroute//^tcp$/^IPv",
	"TestRepair//^IPv", "TestBorrowedSource", "TestNamedBesideConnected//^group",
	"TestVRF/^(cgroup|destination,_bound|another_VRF|inbound)$", "TestDummy", "TestBond",
	"TestFates/^move$/^the_class/^UDP_that_both", "TestFatesOfContainers/^keep$/^the_class",
	"TestForwardedOptions", "TestClockIsSet",
}

// chosen are the rows of this run; the page has a dash for the others.
var chosen = rows

func choose(tests string) error {
	wanted, err := regexp.Compile(tests)
	if err != nil {
		return fmt.Errorf("-rows: %w", err)
	}
	chosen = nil
	for _, row := range rows {
		if name, _ := testOf(row); wanted.MatchString(name) {
			chosen = append(chosen, row)
		}
	}
	if chosen == nil {
		return fmt.Errorf("-rows: no row is of a test that matches %q", tests)
	}
	return nil
}

// testOf is the test of a row, and whether all of it is run.
func testOf(row string) (name string, whole bool) {
	name, _, part := strings.Cut(row, "/")
	return name, !part
}

// pattern is what `go test -run` takes for rows.
func pattern(rows []string) string {
	var all []string
	for _, row := range rows {
		name, part, _ := strings.Cut(row, "/")
		all = append(all, strings.TrimSuffix("^"+name+"$/"+part, "/"))
	}
	return strings.Join(all, "|")
}
