// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"strconv"
	"strings"
)

// protocolWords are the protocols that have a name here, in the order of hints.
var protocolWords = []string{"tcp", "udp", "icmp", "icmpv6", "sctp", "udplite", "dccp", "gre", "esp", "ah", "ipip"}

var protocolNumbers = map[string]uint8{
	"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "sctp": 132, "udplite": 136,
	"dccp": 33, "gre": 47, "esp": 50, "ah": 51, "ipip": 4,
}

// portProtocols are the protocols that have ports.
var portProtocols = []uint8{6, 17, 132, 136, 33}

const portProtocolNames = "tcp, udp, sctp, udplite and dccp"

func hasPorts(p uint8) bool {
	switch p {
	case 6, 17, 132, 136, 33:
		return true
	}
	return false
}

var protocolNames = func() (names [256]string) {
	for p := range names {
		names[p] = strconv.Itoa(p)
	}
	for name, p := range protocolNumbers {
		names[p] = name
	}
	return names
}()

func protocolName(p uint8) string { return protocolNames[p] }

// ProtocolName is the name of a protocol, or its number where a policy has no
// name for it.
func ProtocolName(p uint8) string { return protocolName(p) }

// Protocol is the number of a protocol, as a policy writes it: a name or a
// number from 0 to 255.
func Protocol(text string) (uint8, error) {
	if p, ok := protocolNumbers[text]; ok {
		return p, nil
	}
	if p, ok := parseNumber(text); ok && p <= 255 {
		return uint8(p), nil
	}
	return 0, fmt.Errorf("%q is not a protocol: use a number from 0 to 255, or one of %s", text, strings.Join(protocolWords, ", "))
}
