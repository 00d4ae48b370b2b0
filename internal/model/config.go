package model

// A Config is what is explored.
type Config struct {
	Name   string
	Rows   int // of one key
	Relays int
	Slots  int  // live attempts a row
	Fails  bool // halves are refused too: rows are put off and die
	// Coarse leaves interleavings out, so that two rows can be explored: a half, a decision and a closing are one step each,
	// and no request outlives its session.
	Coarse bool
	// Ignore lets violations pass, to see what they lead to.
	Ignore Kinds
	removed
}

// Small are explorations of seconds. What a removed rule breaks is seen in one of them.
func Small() []Config {
	return []Config{
		{Name: "1 row, 1 relay", Rows: 1, Relays: 1, Slots: 3},
		{Name: "1 row, 2 relays", Rows: 1, Relays: 2, Slots: 3},
		{Name: "1 row that may fail, 1 relay", Rows: 1, Relays: 1, Slots: 3, Fails: true},
		{Name: "2 rows that may fail, 1 relay", Rows: 2, Relays: 1, Slots: 3, Fails: true},
	}
}

// Large are explorations of minutes.
func Large() []Config {
	return []Config{
		{Name: "1 row that may fail, 2 relays", Rows: 1, Relays: 2, Slots: 3, Fails: true},
		{Name: "2 rows, 2 relays, coarse", Rows: 2, Relays: 2, Slots: 2, Coarse: true},
	}
}

// Largest takes longest, and some GB.
func Largest() Config {
	return Config{Name: "2 rows that may fail, 2 relays, coarse", Rows: 2, Relays: 2, Slots: 2, Fails: true, Coarse: true}
}
