// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"waymark/classes"
)

// rpc is a runtime that speaks gRPC: Kubernetes' CRI, containerd's own API, or
// both, as containerd does where it is a kubelet's.
type rpc struct{ Runtime }

// largest is how many bytes one answer may have: a thousand containers of
// containerd, whose specs come with them, are some twenty million.
const largest = 128 << 20

// errTongue is the error of a socket at which none of what we speak is spoken.
var errTongue = errors.New("it speaks neither Docker's API nor CRI nor containerd's: name the socket of a container runtime")

// connect makes a connection for what belongs together.
func (r rpc) connect() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///runtime", grpc.WithAuthority("localhost"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return r.dial(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largest)))
}

// list asks by CRI for what the kubelet runs, and in containerd's own words for
// all else.
func (r rpc) list(ctx context.Context, wanted func(classes.Identity) bool) ([]Container, error) {
	conn, err := r.connect()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	list, err := newCRI(conn).list(ctx, wanted)
	pods := err == nil
	if err != nil && !unknown(err) {
		return nil, plain(err)
	}
	others, err := newContainerd(conn).list(ctx, pods, wanted)
	switch {
	case err != nil && !unknown(err):
		return nil, plain(err)
	case err != nil && !pods:
		return nil, errTongue
	}
	return append(list, others...), nil
}

// watch listens to containerd's events, which tell of pods too. CRI's own are
// off in most runtimes: there it looks as often as the kubelet does.
func (r rpc) watch(ctx context.Context, changed func()) error {
	conn, err := r.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err = newContainerd(conn).watch(ctx, changed); unknown(err) {
		err = newCRI(conn).watch(ctx, changed)
	}
	return plain(err)
}

// unknown tells whether an error says that the other side has no such call.
func unknown(err error) bool { return status.Code(err) == codes.Unimplemented }

// plain is an error without the words of gRPC around it.
func plain(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	switch s.Code() {
	case codes.Unavailable:
		return errors.New("the connection broke: " + s.Message())
	case codes.DeadlineExceeded, codes.Canceled: // the other side knows ours, and may be there first
		return context.DeadlineExceeded
	}
	return errors.New(s.Message())
}
