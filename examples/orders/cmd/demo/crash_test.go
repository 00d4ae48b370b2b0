package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A kill is a crash: what the relay would do on any other signal does not happen.
func TestKillIsACrash(t *testing.T) {
	t.Parallel()
	r := scripted(t, `trap 'echo tidied' TERM INT HUP EXIT; echo up; while :; do sleep 0.02; done`)
	for range 2 { // and it can be started again
		require.NoError(t, r.start())
		r.log(t)
		process := r.process
		require.NoError(t, r.kill())
		require.Nil(t, r.process)
		require.ErrorContains(t, process.Err(), "signal: killed")
		require.NotContains(t, r.log(t), "tidied")
	}
}
