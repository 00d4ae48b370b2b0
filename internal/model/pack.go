package model

import "slices"

// A packed state is what the explorer keeps. States that differ only in the names of relays or slots pack alike.
type packed [3]uint64

// packing writes and reads numbers of few bits.
type packing struct {
	words packed
	at    uint
}

func (b *packing) put(v uint16, width uint) {
	b.words[b.at>>6] |= uint64(v) << (b.at & 63)
	if over := b.at&63 + width; over > 64 {
		b.words[b.at>>6+1] |= uint64(v) >> (64 - b.at&63)
	}
	b.at += width
}

func (b *packing) get(width uint) uint16 {
	v := b.words[b.at>>6] >> (b.at & 63)
	if over := b.at&63 + width; over > 64 {
		v |= b.words[b.at>>6+1] << (64 - b.at&63)
	}
	b.at += width
	return uint16(v) & (1<<width - 1)
}

const (
	attemptBits  = 11
	progressBits = 10
	requestBits  = 7
)

func bit(b bool) uint16 {
	if b {
		return 1
	}
	return 0
}

func (a Attempt) pack() uint16 {
	return bit(a.Expired) | uint16(a.Commits)<<1 | bit(a.Accepted)<<3 | bit(a.Check)<<4 | uint16(a.Copy)<<5 |
		uint16(a.Entry)<<7 | uint16(a.By)<<9
}

func unpackAttempt(v uint16) Attempt {
	return Attempt{
		Expired: v&1 == 1, Commits: uint8(v >> 1 & 3), Accepted: v>>3&1 == 1, Check: v>>4&1 == 1, Copy: Copy(v >> 5 & 3),
		Entry: Entry(v >> 7 & 3), By: uint8(v >> 9 & 3),
	}
}

func (p Progress) pack() uint16 {
	return uint16(p.Stage) | uint16(p.Slot)<<5 | bit(p.Saw)<<7 | bit(p.Holds)<<8 | bit(p.Cut)<<9
}

func unpackProgress(v uint16) Progress {
	return Progress{Stage: Stage(v & 31), Slot: uint8(v >> 5 & 3), Saw: v>>7&1 == 1, Holds: v>>8&1 == 1, Cut: v>>9&1 == 1}
}

func (q Request) pack() uint16 {
	return uint16(q.Kind) | uint16(q.Relay)<<3 | uint16(q.Row)<<4 | uint16(q.Slot)<<5
}

func unpackRequest(v uint16) Request {
	return Request{Kind: Kind(v & 7), Relay: uint8(v >> 3 & 1), Row: uint8(v >> 4 & 1), Slot: uint8(v >> 5 & 3)}
}

// pack returns the smallest packing under any naming of the relays, with the slots in an order that does not depend on their
// names.
func (c *Config) pack(s *State) packed {
	first := c.packNamed(s)
	if c.Relays < 2 {
		return first
	}
	swapped := *s
	swapped.swapRelays()
	second := c.packNamed(&swapped)
	if slices.Compare(second[:], first[:]) < 0 {
		return second
	}
	return first
}

func (s *State) swapRelays() {
	s.Relays[0], s.Relays[1] = s.Relays[1], s.Relays[0]
	s.Leases[0], s.Leases[1] = s.Leases[1], s.Leases[0]
	for r := range s.Attempts {
		for k := range s.Attempts[r] {
			if by := &s.Attempts[r][k].By; *by != 0 {
				*by = 3 - *by
			}
		}
	}
	for at := range s.Late {
		if s.Late[at].Kind != NoRequest {
			s.Late[at].Relay = 1 - s.Late[at].Relay
		}
	}
}

func (c *Config) packNamed(s *State) packed {
	n := *s
	for r := range c.Rows {
		c.sortSlots(&n, r)
	}
	if n.Late != ([maxLate]Request{}) {
		slices.SortFunc(n.Late[:], func(a, b Request) int { return int(b.pack()) - int(a.pack()) })
	}
	var b packing
	for r := range c.Rows {
		b.put(uint16(n.Rows[r].Table), 2)
		b.put(uint16(n.Rows[r].Copies), 1)
		for k := range c.Slots {
			b.put(n.Attempts[r][k].pack(), attemptBits)
		}
	}
	for i := range c.Relays {
		b.put(bit(n.Leases[i].Stands), 1)
		b.put(bit(n.Leases[i].Shard), 1)
		b.put(uint16(n.Relays[i].Phase), 4)
		for r := range c.Rows {
			b.put(n.Relays[i].Rows[r].pack(), progressBits)
		}
	}
	for _, q := range n.Late {
		b.put(q.pack(), requestBits)
	}
	return b.words
}

// sortSlots orders the attempts of a row by what they are and by who refers to them.
func (c *Config) sortSlots(s *State, r int) {
	var keys [maxSlots]uint64
	for k := range c.Slots {
		key := uint64(s.Attempts[r][k].pack())
		for i := range c.Relays {
			key <<= 5
			if p := s.Relays[i].Rows[r]; p.Stage.attempt() && int(p.Slot) == k {
				key |= uint64(p.Stage)
			}
		}
		for _, q := range s.Late {
			key <<= 4
			if q.Kind != NoRequest && q.Kind != LateGive && int(q.Row) == r && int(q.Slot) == k {
				key |= uint64(q.Kind)<<1 | uint64(q.Relay)
			}
		}
		keys[k] = key<<2 | uint64(k)
	}
	if slices.IsSortedFunc(keys[:c.Slots], descending) {
		return
	}
	slices.SortFunc(keys[:c.Slots], descending)
	old := s.Attempts[r]
	var to [maxSlots]uint8
	for k := range c.Slots {
		from := keys[k] & 3
		s.Attempts[r][k] = old[from]
		to[from] = uint8(k)
	}
	for i := range c.Relays {
		if p := &s.Relays[i].Rows[r]; p.Stage.attempt() {
			p.Slot = to[p.Slot]
		}
	}
	for at := range s.Late {
		if q := &s.Late[at]; int(q.Row) == r && (q.Kind == LateDecide || q.Kind == LateSettle || q.Kind == LateStrike) {
			q.Slot = to[q.Slot]
		}
	}
}

// descending puts free slots last, and compares without the slot's old place.
func descending(a, b uint64) int {
	switch a, b = a>>2, b>>2; {
	case a > b:
		return -1
	case a < b:
		return 1
	default:
		return 0
	}
}

func (c *Config) unpack(p packed) State {
	b := packing{words: p}
	var s State
	for r := range c.Rows {
		s.Rows[r] = Row{Table: Table(b.get(2)), Copies: uint8(b.get(1))}
		for k := range c.Slots {
			s.Attempts[r][k] = unpackAttempt(b.get(attemptBits))
		}
	}
	for i := range c.Relays {
		s.Leases[i] = Lease{Stands: b.get(1) == 1, Shard: b.get(1) == 1}
		s.Relays[i].Phase = Phase(b.get(4))
		for r := range c.Rows {
			s.Relays[i].Rows[r] = unpackProgress(b.get(progressBits))
		}
	}
	for at := range s.Late {
		s.Late[at] = unpackRequest(b.get(requestBits))
	}
	return s
}
