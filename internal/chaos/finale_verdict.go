package chaos

import "slices"

// JudgeGone is Judge where one broker has gone. What is left must be left for a reason: its outcome cannot be known, or it
// waits behind such a row, or for a queue of that broker. And what may be on the topic must be listed.
func JudgeGone(book []Entry, tried map[int64]int, deliveries []Delivery, left []Left, gone string) *Verdict {
	arrived := make(map[int64]Delivery)
	home := make(map[string]string) // a key's broker
	for _, d := range deliveries {
		arrived[d.ID] = d
		home[d.Key] = d.Broker
	}
	waiting := make(map[int64]bool) // what is left and not on the topic: neither delivered nor lost
	blocked := make(map[string]bool)
	for _, l := range left {
		_, there := arrived[l.ID]
		waiting[l.ID] = !there
		if l.Listed {
			blocked[l.Key] = true
		}
	}
	v := Judge(slices.DeleteFunc(slices.Clone(book), func(e Entry) bool { return waiting[e.ID] }), tried, deliveries)
	spans := make(map[int64]int)
	for _, e := range book {
		spans[e.ID] = e.Span
		if waiting[e.ID] {
			v.of(e.Span).Committed++
			v.of(e.Span).Waiting++
		}
	}
	for _, l := range left {
		if l.Listed {
			v.of(spans[l.ID]).Listed++
			continue
		}
		if d, there := arrived[l.ID]; there {
			v.of(spans[l.ID]).Duplicated++
			v.find("would be sent again: row %d is in the outbox and not listed, but it is on the topic: %s", l.Row, d)
		}
		if at, known := home[l.Key]; l.Key == "" || !blocked[l.Key] && known && at != gone {
			v.of(spans[l.ID]).Lost++
			v.find("left without a reason: row %d (event %d, %s)", l.Row, l.ID, l.Key)
		}
	}
	return v
}
