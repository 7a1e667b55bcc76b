// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"errors"
	"io"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"

	"waymark/loader"
)

// TestProtobufIsThatOfPrometheus has client_golang's own decoder read what is
// written here, of one policy after the other, and holds it against the messages
// that its encoder would get.
func TestProtobufIsThatOfPrometheus(t *testing.T) {
	odd := oddlyNamed()
	now := odd
	e := New(Source{Version: "v", Read: func() (*loader.Sample, error) { return now, nil }, Agent: source(odd).Agent})
	for _, now = range []*loader.Sample{made(3, 4), odd, made(1, 1), made(5, 3)} {
		ours, err := e.append(nil, protobufForm{})
		if err != nil {
			t.Fatal(err)
		}
		got := decodedFamilies(t, ours)
		shown, done, _ := e.Gather()
		if len(got) != len(shown) {
			t.Errorf("%d families, want %d", len(got), len(shown))
		}
		for _, want := range shown {
			if f := got[want.GetName()]; !proto.Equal(f, want) && want.GetName() != "waymark_exporter_read_seconds" {
				t.Errorf("%s is %v, want %v", want.GetName(), f, want)
			}
		}
		done()
	}
}

func decodedFamilies(t *testing.T, delimited []byte) map[string]*dto.MetricFamily {
	t.Helper()
	families := map[string]*dto.MetricFamily{}
	decoder := expfmt.NewDecoder(bytes.NewReader(delimited), expfmt.NewFormat(expfmt.TypeProtoDelim))
	for {
		f := &dto.MetricFamily{}
		if err := decoder.Decode(f); errors.Is(err, io.EOF) {
			return families
		} else if err != nil {
			t.Fatal(err)
		}
		families[f.GetName()] = f
	}
}
