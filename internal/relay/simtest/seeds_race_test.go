//go:build race

package simtest

// seeds is fewer with the race detector, which makes a run ten times slower.
const seeds = 60
