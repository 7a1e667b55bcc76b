// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/classes"
	"waymark/internal/plan"
)

// SavedPlan is a plan that was looked at, and is to be applied as it was
// seen or not at all. It holds the policy, and all of the host that the plan
// came from shows in the plan and in the changes it asked for.
type SavedPlan struct {
	Made       time.Time      `json:"made"`
	Netns      uint64         `json:"netns"`  // inode
	Object     string         `json:"object"` // bpf.ObjectID of the programs it would attach
	CgroupRoot string         `json:"cgroupRoot"`
	Files      []classes.File `json:"files"`
	Text       string         `json:"text"`   // plan and changes, as they were shown, and what others' rules take before it
	Digest     string         `json:"digest"` // of all that is in plan and changes, shown or not
}

// Save is what Plan answered for a policy, to be kept.
func (l *Loader) Save(policy *classes.Policy, p *plan.Plan, changes plan.Changes) (*SavedPlan, error) {
	var text strings.Builder
	all, err := json.Marshal([]any{p, changes, p.Fingerprint()})
	if err := errors.Join(err, p.Print(&text), changes.Print(&text)); err != nil {
		return nil, err
	}
	others, err := l.waysOut()
	if err != nil {
		return nil, err
	}
	for _, theirs := range p.Covers(others) {
		text.WriteString("# " + theirs + "\n")
	}
	writeWaysOut(&text, others.Routes, p)
	digest := sha256.Sum256(all)
	return &SavedPlan{Made: time.Now().UTC().Truncate(time.Second), Netns: l.netns, Object: bpf.ObjectID(), CgroupRoot: l.root,
		Files: policy.Files(), Text: text.String(), Digest: hex.EncodeToString(digest[:])}, nil
}

// mostWaysOut is how many routes of main's a saved plan has one by one.
const mostWaysOut = 1000

// writeWaysOut writes the routes of main's that lead out: of very many, how many
// there are, and a digest.
func writeWaysOut(text *strings.Builder, routes []plan.Route, p *plan.Plan) {
	var lines []string
	for _, r := range routes {
		if r.Table == plan.TableMain && leadsOut(r, p) {
			lines = append(lines, "# table main: "+r.Args()+"\n")
		}
	}
	if all := strings.Join(lines, ""); len(lines) <= mostWaysOut {
		text.WriteString(all)
	} else {
		fmt.Fprintf(text, "# table main: %d routes, %x\n", len(lines), sha256.Sum256([]byte(all)))
	}
}

// leadsOut tells whether a route of main's decides where traffic of a plan goes:
// a default, or one by an uplink, which is for all that is not in a class and
// first for what is. Those of routing daemons come and go all the time.
func leadsOut(r plan.Route, p *plan.Plan) bool {
	if r.IsDefault() {
		return true
	}
	lasting := r.Protocol <= unix.RTPROT_STATIC || r.Protocol == unix.RTPROT_RA || r.Protocol == unix.RTPROT_DHCP
	return lasting && slices.ContainsFunc(r.Hops, func(h plan.NextHop) bool {
		return slices.ContainsFunc(p.Uplinks, func(u plan.Uplink) bool { return u.Interface == h.Interface })
	})
}

// Drift is the error of a saved plan that no longer fits the host.
type Drift struct {
	Made    time.Time
	Differs []string // what is another now, a line each: "-" as it was, "+" as it is
}

func (d *Drift) Error() string {
	return fmt.Sprintf("the host is not as it was when the plan was made (%s):\n  %s\n  hint: make the plan anew with `waymark plan -o FILE`, look at it, and apply that",
		d.Made.Format("2006-01-02 15:04:05 MST"), strings.Join(d.Differs, "\n  "))
}

// ApplySaved applies exactly the saved plan; where the host is no longer as
// it was when the plan was made, the error is a *Drift and nothing is done.
// Other errors, and trial, are as of Try; trial 0 is as of Apply.
func (l *Loader) ApplySaved(saved *SavedPlan, trial time.Duration) (*Applied, error) {
	policy, err := classes.ParseFiles(saved.Files...)
	if err != nil {
		return nil, err
	}
	if saved.Netns != l.netns {
		return nil, &Drift{saved.Made, []string{fmt.Sprintf("- network namespace %d", saved.Netns), fmt.Sprintf("+ network namespace %d", l.netns)}}
	}
	if err := l.at(saved.CgroupRoot); err != nil {
		return nil, err
	}
	return l.applyWanted(wanted{policy: policy, trial: trial, asked: true, agrees: func(w *survey) error {
		now, err := l.Save(policy, w.plan, w.changes)
		if err != nil {
			return err
		}
		lines := saved.differs(now)
		if len(lines) == 0 || w.changes.Empty() && wereMade(lines) {
			return nil
		}
		return &Drift{saved.Made, lines}
	}})
}

// differs says in lines what is another in a plan made now.
func (s *SavedPlan) differs(now *SavedPlan) []string {
	if s.Object != now.Object {
		return []string{"- the programs of another waymark, " + s.Object, "+ the programs of this one, " + now.Object}
	}
	if lines := lineDifference(s.Text, now.Text); len(lines) > 0 {
		return lines
	}
	if s.Digest != now.Digest {
		return []string{"~ interfaces, addresses or cgroups of the same names have other numbers"}
	}
	return nil
}

// wereMade tells whether changes that a saved plan asked for are all that is another:
// it was applied already, and stands.
func wereMade(lines []string) bool {
	return !slices.ContainsFunc(lines, func(line string) bool {
		change, was := strings.CutPrefix(line, "- ")
		return !was || !strings.HasPrefix(change, "+ ") && !strings.HasPrefix(change, "- ") && !strings.HasPrefix(change, "~ ")
	})
}

// lineDifference is what each of two texts has more of than the other.
func lineDifference(before, after string) (lines []string) {
	for _, side := range []struct{ sign, text, other string }{{"- ", before, after}, {"+ ", after, before}} {
		left := map[string]int{}
		for line := range strings.Lines(side.other) {
			left[line]++
		}
		for line := range strings.Lines(side.text) {
			if left[line]--; left[line] < 0 {
				lines = append(lines, side.sign+strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return lines
}

// ReadSavedPlan reads what Encode wrote.
func ReadSavedPlan(text []byte) (*SavedPlan, error) {
	var file savedFile
	if err := json.Unmarshal(text, &file); err != nil || file.Kind != savedKind {
		return nil, errors.New("it is no plan that `waymark plan -o FILE` wrote (a policy is named with -f)")
	}
	if file.APIVersion != savedVersion {
		return nil, fmt.Errorf("it is of version %q, and this waymark reads %s: make the plan anew", file.APIVersion, savedVersion)
	}
	return &file.Item, nil
}

// Encode is the plan as it is kept in a file.
func (s *SavedPlan) Encode() ([]byte, error) {
	return json.MarshalIndent(savedFile{savedVersion, savedKind, *s}, "", "  ")
}

const savedVersion, savedKind = "waymark/v1", "SavedPlan"

type savedFile struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Item       SavedPlan `json:"item"`
}
