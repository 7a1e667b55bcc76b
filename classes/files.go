// SPDX-License-Identifier: Apache-2.0

package classes

// File is a policy file as it was read. Name stands in positions.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Files are the files the policy was made of, in order.
func (p *Policy) Files() []File {
	files := make([]File, len(p.sources))
	for i, s := range p.sources {
		files[i] = File{Name: s.name, Text: s.text}
	}
	return files
}

// ParseFiles parses a policy that is several texts, merged as Load merges
// files. The error is Problems.
func ParseFiles(files ...File) (*Policy, error) {
	sources := make([]*source, len(files))
	for i, f := range files {
		sources[i] = newSource(f.Name, []byte(f.Text))
	}
	return compile(sources, nil)
}
