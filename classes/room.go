// SPDX-License-Identifier: Apache-2.0

package classes

// room is where lists of values lie side by side: the matches of a policy have
// hundreds of thousands, nearly all of one value.
type room[T any] []T

// mostRoom is how many values a room is made for at a time.
const mostRoom = 1024

// take returns an empty list that has a place for n values. Of no room it is a
// list by itself.
func (r *room[T]) take(n int) []T {
	if r == nil {
		return make([]T, 0, n)
	}
	from := len(*r)
	if n > cap(*r)-from {
		*r, from = make([]T, 0, max(n, min(2*cap(*r), mostRoom), 8)), 0
	}
	*r = (*r)[:from+n]
	return (*r)[from : from : from+n]
}
