// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"waymark/internal/plan"
)

// Host is what a plan depends on of a host, to be held against policies
// elsewhere.
type Host struct {
	CgroupRoot string       `json:"cgroupRoot"` // the directory that cgroup paths start from
	Facts      plan.Facts   `json:"facts"`
	Numbers    plan.Numbers `json:"numbers"` // what it remembers of the plan that is applied; zero: none is
}

const hostVersion, hostKind = "waymark/v1", "Host"

type hostFile struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Item       Host   `json:"item"`
}

// Encode is the description as it is kept in a file.
func (h *Host) Encode() ([]byte, error) {
	text, err := json.MarshalIndent(hostFile{hostVersion, hostKind, *h}, "", "  ")
	return append(text, '\n'), err
}

// ReadHost reads what Encode wrote, or somebody by hand: what is not said is
// empty, and a name that is not known is an error.
func ReadHost(text []byte) (*Host, error) {
	var file hostFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("it is no description that `waymark verify --describe` wrote: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has something behind the description's last brace")
	}
	if file.Kind != hostKind || file.APIVersion != hostVersion {
		return nil, fmt.Errorf("it is a %s of version %q, and this waymark reads a %s of %s: write it anew with `waymark verify --describe`",
			file.Kind, file.APIVersion, hostKind, hostVersion)
	}
	return &file.Item, nil
}
