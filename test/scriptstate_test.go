// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/rogpeppe/go-internal/testscript"

	"waymark/internal/datapath"
)

func init() {
	scriptCommands["gone"] = command((*script).gone)           // gone FILE: wait until it is
	scriptCommands["until"] = command((*script).untilWentBack) // until waymark status: wait until it no longer says "goes back", and print it
	scriptCommands["state"] = command((*script).writeState)    // state [-raw] TEXT: make it the laboratory's state
	scriptCommands["pin"] = command((*script).pinForeign)      // pin FILE: a BPF map of somebody else's
}

const scriptPatience = 60 * time.Second

func (s *script) gone(_ *testscript.TestScript, args []string) error {
	for end := time.Now().Add(scriptPatience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(args[0]); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	return fmt.Errorf("%s is still there", args[0])
}

func (s *script) untilWentBack(ts *testscript.TestScript, args []string) error {
	for end := time.Now().Add(scriptPatience); ; time.Sleep(50 * time.Millisecond) {
		var out bytes.Buffer
		c := s.lab.Host.Command(s.waymark, args[1:]...)
		c.Stdout = &out
		err := c.Run()
		if err == nil && !bytes.Contains(out.Bytes(), []byte("goes back")) {
			_, err = ts.Stdout().Write(out.Bytes())
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("it did not go back: %w: %s", err, out.String())
		}
	}
}

func (s *script) writeState(_ *testscript.TestScript, args []string) error {
	if len(args) == 2 && args[0] == "-raw" {
		return datapath.WriteState(s.pins(), []byte(args[1]))
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(args[0])); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return datapath.WriteState(s.pins(), b.Bytes())
}

func (s *script) pinForeign(_ *testscript.TestScript, args []string) error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "theirs", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Pin(args[0])
}
