package model

import "math/bits"

// A set numbers packed states in the order in which they are added.
type set struct {
	states []packed
	table  []uint32 // number + 1, by hash; open addressing
}

func newSet() *set { return &set{table: make([]uint32, 1<<16)} }

// add returns the number of a state, and whether it is new.
func (s *set) add(p packed) (number uint32, isNew bool) {
	if len(s.states)*4 >= len(s.table)*3 {
		s.grow()
	}
	at := s.find(p)
	if n := s.table[at]; n != 0 {
		return n - 1, false
	}
	s.states = append(s.states, p)
	s.table[at] = uint32(len(s.states))
	return uint32(len(s.states) - 1), true
}

// find returns the place of a state in the table, or the one where it belongs.
func (s *set) find(p packed) uint64 {
	mask := uint64(len(s.table) - 1)
	at := hash(p) & mask
	for s.table[at] != 0 && s.states[s.table[at]-1] != p {
		at = (at + 1) & mask
	}
	return at
}

func (s *set) grow() {
	s.table = make([]uint32, 2*len(s.table))
	for n, p := range s.states {
		s.table[s.find(p)] = uint32(n + 1)
	}
}

func hash(p packed) uint64 {
	const a, b, c = 0x9e3779b97f4a7c15, 0xd1342543de82ef95, 0xa0761d6478bd642f
	hi, lo := bits.Mul64(p[0]^a, p[1]^b)
	hi, lo = bits.Mul64(hi^lo^c, p[2]^a)
	return hi ^ lo
}
