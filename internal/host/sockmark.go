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

// Sizes of struct inet_diag_req_v2 and struct inet_diag_msg, and attributes
// of either direction (include/uapi/linux/inet_diag.h).
const (
	diagRequest        = 56
	diagAnswer         = 72
	diagReqProtocol    = 3    // INET_DIAG_REQ_PROTOCOL
	diagInode          = 68   // idiag_inode
	diagMark           = 15   // INET_DIAG_MARK
	protocolBeyondByte = 0xff // in the one byte of a request: see INET_DIAG_REQ_PROTOCOL
)

// Socket states whose answers lack a mark on some kernels
// (include/net/tcp_states.h).
const (
	timeWait   = 6
	newSynRecv = 12
)

// diagProtocols are the protocols whose sockets the kernel can list.
var diagProtocols = []uint32{
	unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE, unix.IPPROTO_RAW, unix.IPPROTO_SCTP, unix.IPPROTO_MPTCP,
}

// unlisted are the errnos of a kernel that cannot list a protocol.
var unlisted = []unix.Errno{unix.ENOENT, unix.EOPNOTSUPP, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT}

// SocketMarks returns the fwmarks (host byte order) of the sockets open in
// the calling thread's network namespace: TCP in every state, UDP, UDP
// Lite, raw, SCTP and MPTCP, as far as the kernel lists them; 5.10 shows a
// mark of 0 for connections in TIME_WAIT. It needs CAP_NET_ADMIN.
func SocketMarks() (map[uint32]bool, error) {
	marks := make(map[uint32]bool)
	err := eachSocket(func(mark, _ uint32) { marks[mark] = true })
	return marks, err
}

// MarkHolders are the processes that have sockets with a mark, by mark, of those
// that SocketMarks finds; mostSockets of a mark are looked for. A mark whose
// processes cannot be seen has none. The mark 0 is left out, and so is what the
// kernel keeps of connections that are closed: it is nobody's.
func MarkHolders() (map[uint32][]Holder, error) {
	const mostSockets = 64
	inodes := map[uint32][]uint64{}
	var all []uint64
	err := eachSocket(func(mark, inode uint32) {
		if mark != 0 && inode != 0 && len(inodes[mark]) < mostSockets {
			inodes[mark] = append(inodes[mark], uint64(inode))
			all = append(all, uint64(inode))
		}
	})
	if err != nil || all == nil {
		return nil, err
	}
	holders := map[uint32][]Holder{}
	by := SocketHolders(all)
	for mark, sockets := range inodes {
		holders[mark] = nil
		for _, inode := range sockets {
			for _, h := range by[inode] {
				if !slices.Contains(holders[mark], h) {
					holders[mark] = append(holders[mark], h)
				}
			}
		}
	}
	return holders, nil
}

// eachSocket calls do with the mark and the inode of every open socket; with
// some of them twice, where the kernel's list was interrupted.
func eachSocket(do func(mark, inode uint32)) error {
	listed := 0
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for _, protocol := range diagProtocols {
			err := retry(func() error { return dumpMarks(family, protocol, do) })
			switch {
			case err == nil:
				listed++
			case !isUnlisted(err):
				return fmt.Errorf("list sockets: %w", err)
			}
		}
	}
	if listed == 0 {
		return errors.New("list sockets: the kernel lists none: load the modules inet_diag, tcp_diag and udp_diag")
	}
	return nil
}

func isUnlisted(err error) bool {
	for _, errno := range unlisted {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// dumpMarks calls do for one kind of sockets. Before an interruption it may
// have done so for some of them.
func dumpMarks(family uint8, protocol uint32, do func(mark, inode uint32)) error {
	req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	req.AddRawData(encodeDiag(family, protocol))
	var broken error
	err := req.ExecuteIter(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(msg []byte) bool {
		mark, err := decodeMark(msg)
		if err != nil {
			broken = err
			return false
		}
		do(mark, binary.NativeEndian.Uint32(msg[diagInode:]))
		return true
	})
	return errors.Join(err, broken)
}

func encodeDiag(family uint8, protocol uint32) []byte {
	b := make([]byte, diagRequest)
	b[0], b[1] = family, uint8(protocol)
	binary.NativeEndian.PutUint32(b[4:], 0xffffffff) // every state
	if protocol > 0xff {
		b[1] = protocolBeyondByte
		b = append(b, nl.NewRtAttr(diagReqProtocol, nl.Uint32Attr(protocol)).Serialize()...)
	}
	return b
}

// decodeMark reads the mark of one listed socket.
func decodeMark(msg []byte) (uint32, error) {
	if len(msg) < diagAnswer {
		return 0, fmt.Errorf("answer of %d bytes", len(msg))
	}
	for b := msg[diagAnswer:]; len(b) >= unix.SizeofRtAttr; {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return 0, fmt.Errorf("attribute of length %d in %d bytes", n, len(b))
		}
		if binary.NativeEndian.Uint16(b[2:]) == diagMark && n >= unix.SizeofRtAttr+4 {
			return binary.NativeEndian.Uint32(b[unix.SizeofRtAttr:]), nil
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	if state := msg[1]; state == timeWait || state == newSynRecv {
		return 0, nil
	}
	return 0, fmt.Errorf("the kernel shows no marks: CAP_NET_ADMIN is needed: %w", unix.EPERM)
}
