package relay

import "slices"

// watermark turns samples of the identity sequence and of the transactions that may still insert into the id up to which the
// outbox is decided: committed, or never to exist. Only then may a read start behind an id, because a small id can be
// committed long after a larger one.
type watermark struct {
	upTo int64
	open *Decided // the sample whose writers are being waited for
}

func (w *watermark) observe(sample Decided) {
	if w.open != nil && !overlap(w.open.Writers, sample.Writers) {
		w.upTo = max(w.upTo, w.open.Allocated)
		w.open = nil
	}
	if len(sample.Writers) == 0 {
		w.upTo = max(w.upTo, sample.Allocated)
		w.open = nil
	} else if w.open == nil {
		w.open = &sample
	}
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(w string) bool { return slices.Contains(b, w) })
}
