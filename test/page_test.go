// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waymark/internal/lab"
)

// shown is what a lane of the page says.
type shown struct {
	Badge, Probe string
	Rows         map[string]struct {
		Note               string
		Away               bool
		Packets, Misroutes uint64
		Staying            uint64 // flows that are away
	}
}

const (
	pageAddress = "127.0.0.1:9955"
	pageClass   = "bulk"

	// Who may change something, and the bcrypt hash of her password.
	pagePassword = "fakepassword"
	pageUsers    = `basic_auth_users: {alice: "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"}`
)

// pagePolicy has a service in each class.
const pagePolicy = twoUplinks + `
classes:
  - {name: exec, route: [b], otherwise: unreachable, match: [{cgroup: exec.slice}]}
  - {name: bulk, route: [b, a], match: [{cgroup: bulk.slice}]}
  - {name: voice, route: [a, b], match: [{proto: udp, dport: 7, dst: [203.0.113.4, "2001:db8:f::4"]}]}
`

// lanes is what stands in the lanes now.
func (b *browser) lanes(t *testing.T) (lanes map[string]shown) {
	t.Helper()
	b.step(t, &lanes, "lanes")
	return lanes
}

// TestPage looks at the page of a host, in a real browser.
func TestPage(t *testing.T) {
	s := newSite(t, lab.Options{AllDefaults: true})
	s.cgroups(t, "exec.slice", "bulk.slice", "x.service")
	users := filepath.Join(s.dir, "web.yaml")
	if err := os.WriteFile(users, []byte(pageUsers), 0o600); err != nil {
		t.Fatal(err)
	}
	s.mark(t)
	s.agentOn(t, append(s.write(t, pagePolicy), "--listen", pageAddress, "--web.config.file", users, "--allow-changes")...)
	b := s.browser(t)
	b.step(t, nil, "open", "url", "http://"+pageAddress+"/", "user", "alice", "password", pagePassword)

	t.Run("busiest", func(t *testing.T) { pageShowsBusiest(t, b) })
	t.Run("numbers", func(t *testing.T) { s.pageCounts(t, b) })
	t.Run("explain", func(t *testing.T) { pageExplains(t, b) })
	t.Run("accessible", func(t *testing.T) { pageIsAccessible(t, b) })
	if dir := os.Getenv("WAYMARK_SHOTS"); dir != "" {
		t.Run("pictures", func(t *testing.T) { s.pagePictures(t, b, dir) })
	}
	t.Run("move", func(t *testing.T) { s.pageMoves(t, b) })
	t.Run("uplink down", func(t *testing.T) { s.pageShowsDead(t, b) })
	t.Run("uplink withdrawn", func(t *testing.T) { s.pageShowsWithdrawn(t, b) })

	var errors []string
	b.step(t, &errors, "errors")
	if len(errors) > 0 {
		t.Errorf("the browser's console says %q", errors)
	}
	t.Run("unseen", func(t *testing.T) { pageLetsGo(t, b) })
	t.Run("crowded", func(t *testing.T) { s.pageIsCrowded(t, b) })
	t.Run("comes back", func(t *testing.T) { s.pageComesBack(t, b) })
}

// says waits until the page's badge and alert say something.
func (b *browser) says(t *testing.T, words string) {
	t.Helper()
	soon(t, "the page says "+words, func() (err error) {
		var said string
		if b.step(t, &said, "says"); !strings.Contains(said, words) {
			err = fmt.Errorf("it says %q", said)
		}
		return err
	})
}

// pageShowsBusiest has more rows than a lane has room for.
func pageShowsBusiest(t *testing.T, b *browser) {
	var rows []int
	if b.step(t, &rows, "busiest", "rows", 1000); len(rows) != 100 || rows[0] != 0 || !slices.Equal(rows[98:], []int{998, 999}) {
		t.Errorf("of 1000 rows these are shown, without the last two, which are busy: %v", rows)
	}
}

// pageLetsGo hides the page, which other pages of its browser wait for then.
func pageLetsGo(t *testing.T, b *browser) {
	b.step(t, nil, "hide", "hidden", true)
	b.says(t, "paused")
	b.step(t, nil, "hide", "hidden", false)
	b.says(t, "live")
}

// pageIsCrowded has as many look as may, while the page itself does not.
func (s *site) pageIsCrowded(t *testing.T, b *browser) {
	client := inside(s.Host)
	b.step(t, nil, "hide", "hidden", true)
	b.says(t, "paused")
	for looks := true; looks; {
		r := must[*http.Request](t)(http.NewRequest(http.MethodGet, "http://"+pageAddress+"/events", nil))
		r.SetBasicAuth("alice", pagePassword)
		a := must[*http.Response](t)(client.Do(r))
		t.Cleanup(func() { a.Body.Close() })
		looks = a.StatusCode == http.StatusOK
	}
	b.step(t, nil, "hide", "hidden", false)
	b.says(t, "too many look at this page")
}

// pageCounts sends in every class, and compares the page with the routers'
// side of the counters.
func (s *site) pageCounts(t *testing.T, b *browser) {
	for _, f := range bothFamilies {
		for _, job := range []lab.Job{in("exec.slice", f.job(lab.TCP, 1)), in("bulk.slice", f.job(lab.UDP, 1)), f.job(lab.UDP, 4), f.job(lab.TCP, 2)} {
			c := s.open(t, job)
			must[lab.Result](t)(c.Send(20, 100))
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.quiet(t)
	soon(t, "the page has what was counted", func() error {
		want, lanes := s.counted(t), b.lanes(t)
		for class, uplinks := range want {
			for uplink, c := range uplinks {
				if got := lanes[uplink].Rows[class].Packets; got != c.Packets {
					return fmt.Errorf("class %s has %d packets by %s on the page, and %d counted", class, got, uplink, c.Packets)
				}
			}
		}
		return nil
	})
	var detail map[string][]string
	b.step(t, &detail, "detail", "name", pageClass)
	if want := s.counted(t)[pageClass]["b"].Packets; detail["Packets out"][byB] != fmt.Sprint(want) {
		t.Errorf("class %s has %q packets in its own table, and %d counted", pageClass, detail["Packets out"], want)
	}
}

// pageExplains asks what the verb is asked.
func pageExplains(t *testing.T, b *browser) {
	for _, q := range []struct {
		fields map[string]string
		says   []string
	}{
		{map[string]string{"cgroup": "bulk.slice", "dst": "203.0.113.1"}, []string{"bulk", "uplink b", "Kernel says"}},
		{map[string]string{"cgroup": "", "dst": "203.0.113.4", "proto": "udp", "dport": "7"}, []string{"voice", "uplink a"}},
		{map[string]string{"dst": "nonsense"}, []string{`--dst "nonsense" is no address`}},
	} {
		var answer string
		b.step(t, &answer, "explain", "fields", q.fields)
		for _, word := range q.says {
			if !strings.Contains(answer, word) {
				t.Errorf("explain %v: the answer lacks %q:\n%s", q.fields, word, answer)
			}
		}
	}
}

// pageIsAccessible looks at it on a phone and on a desk, by day and by
// night, by the rules of WCAG, and goes through it by the keyboard.
func pageIsAccessible(t *testing.T, b *browser) {
	backgrounds := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{320, 768, 1280} {
			var over int
			b.step(t, &over, "looks", "width", width, "height", 900, "scheme", scheme)
			if over > 0 {
				t.Errorf("%d pixels wide, it is %d too wide", width, over)
			}
			b.obeys(t, fmt.Sprintf("%d pixels, %s", width, scheme))
		}
		b.step(t, nil, "detail", "name", pageClass, "keep", true)
		b.obeys(t, "a class's table, "+scheme)
		b.step(t, nil, "key", "key", "Escape")
		var background string
		b.step(t, &background, "background")
		backgrounds[background] = true
	}
	if len(backgrounds) != 2 {
		t.Errorf("by day and by night it is %v", backgrounds)
	}
	var paper []any
	if b.step(t, &paper, "printed"); paper[0] != "rgb(245, 246, 247)" || paper[1] != 0. {
		t.Errorf("on paper the background is %v, and %v lists are cut off", paper[0], paper[1])
	}
	var by []string
	b.step(t, &by, "tab", "times", 12)
	for _, where := range []string{"Skip to the numbers", "filter", pageClass} {
		if !strings.Contains(strings.Join(by, "\n"), where) {
			t.Errorf("by the keyboard one does not come by %q, but by %q", where, by)
		}
	}
	if strings.Contains(strings.Join(by, "\n"), "without outline") {
		t.Errorf("where the focus is cannot be seen: %q", by)
	}
}

// obeys checks the rules of WCAG that a program can check.
func (b *browser) obeys(t *testing.T, when string) {
	t.Helper()
	var found []string
	b.step(t, &found, "axe")
	for _, f := range found {
		t.Errorf("%s: %s", when, f)
	}
}

// pagePictures takes the README's pictures, of a host that is busy, and puts
// them where WAYMARK_SHOTS says.
func (s *site) pagePictures(t *testing.T, b *browser, dir string) {
	stop, all := make(chan bool), sync.WaitGroup{}
	for n, job := range []lab.Job{in("exec.slice", v4.job(lab.TCP, 1)), in("bulk.slice", v6.job(lab.TCP, 1)), v4.job(lab.UDP, 4), v4.job(lab.TCP, 2)} {
		c := s.open(t, job)
		all.Go(func() {
			for err := error(nil); err == nil; {
				select {
				case <-stop:
					err = c.Close()
					return
				case <-time.After(time.Duration(20+10*n) * time.Millisecond):
					_, err = c.Send(10*(n+1), 1200)
				}
			}
		})
	}
	time.Sleep(25 * time.Second) // for the line to have some length
	for name, looks := range map[string][]any{
		"page-light.png": {"width", 1280, "height", 800, "scheme", "light"},
		"page-dark.png":  {"width", 1280, "height", 800, "scheme", "dark"},
		"page-phone.png": {"width", 390, "height", 800, "scheme", "dark"},
	} {
		b.step(t, nil, "looks", looks...)
		b.step(t, nil, "shot", "path", filepath.Join(dir, name))
	}
	close(stop)
	all.Wait()
}
