//go:build !race

package simtest

// seeds is how many runs a plain go test makes; one takes about 15 ms.
const seeds = 300
