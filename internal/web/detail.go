// SPDX-License-Identifier: Apache-2.0

package web

import (
	"encoding/json"
	"net/http"

	"waymark/internal/datapath"
)

// detail is everything that is counted of a class by one uplink. What is
// called like a histogram of the tally is said in its place.
type detail struct {
	Uplink string `json:"uplink"`
	Away   uint64 `json:"away"` // open flows that stay here, though new ones leave by another
	datapath.Tally
	RTT     *percentiles `json:"rtt"`
	Connect *percentiles `json:"connect"`
	Queue   *percentiles `json:"queue"`
}

// details are those of a class, by every uplink, as of the last reading.
func (r *reader) details(class string) (all []detail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil {
		return nil
	}
	now := r.now.Classes
	for n := range now {
		c := &now[n]
		if c.Name != class {
			continue
		}
		for k := range c.Traffic {
			all = append(all, detail{Uplink: c.Traffic[k].Uplink, Away: c.Traffic[k].Away, Tally: c.Traffic[k].Tally,
				RTT:     r.inWindow(n, c, k, roundTrip),
				Connect: r.inWindow(n, c, k, connect),
				Queue:   r.inWindow(n, c, k, queue)})
		}
	}
	return all
}

// class answers with the details of one, as {"lanes": [...]}; a class that
// there is not has none.
func (p *Page) class(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]detail{"lanes": p.reader.details(r.URL.Query().Get("name"))})
}
