// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// sockDestroy is SOCK_DESTROY (include/uapi/linux/sock_diag.h).
const sockDestroy = 21

// Places of struct inet_diag_sockid in an answer and in a request, and of
// its cookie in the answer.
const (
	diagAnswerID   = 4
	diagRequestID  = 8
	diagIDSize     = 48
	diagCookie     = diagAnswerID + 40
	diagCookieSize = 8
)

// DestroySockets resets those TCP and UDP sockets of the calling thread's
// network namespace that have one of the cookies (SO_COOKIE), and returns how
// many; one that ended meanwhile is none. Kernels built without
// CONFIG_INET_DIAG_DESTROY answer EOPNOTSUPP.
func DestroySockets(cookies []uint64) (n int, err error) {
	if len(cookies) == 0 {
		return 0, nil
	}
	slices.Sort(cookies)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for _, protocol := range []uint32{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			some, err := destroySome(family, protocol, cookies)
			n += some
			if err != nil {
				return n, fmt.Errorf("reset sockets: %w", err)
			}
		}
	}
	return n, nil
}

// destroySome resets those of one family and protocol.
func destroySome(family uint8, protocol uint32, cookies []uint64) (n int, err error) {
	var ids [][]byte
	list := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	list.AddRawData(encodeDiag(family, protocol))
	err = list.ExecuteIter(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(msg []byte) bool {
		if len(msg) < diagAnswer {
			return true
		}
		cookie := binary.NativeEndian.Uint64(msg[diagCookie:][:diagCookieSize])
		if _, doomed := slices.BinarySearch(cookies, cookie); doomed {
			ids = append(ids, slices.Clone(msg[diagAnswerID:][:diagIDSize]))
		}
		return true
	})
	if isUnlisted(err) {
		return 0, nil
	}
	if err != nil && !errors.Is(err, unix.EINTR) {
		return 0, err
	}
	for _, id := range ids {
		end := nl.NewNetlinkRequest(sockDestroy, unix.NLM_F_ACK)
		request := encodeDiag(family, protocol)
		copy(request[diagRequestID:], id)
		end.AddRawData(request)
		_, err := end.Execute(unix.NETLINK_INET_DIAG, 0)
		switch {
		case err == nil:
			n++
		case !errors.Is(err, unix.ENOENT):
			return n, err
		}
	}
	return n, nil
}
