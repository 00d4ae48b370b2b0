package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"-list", exitOK, "broker: kill -9\n", ""},
		{"-list -kinds clock", exitOK, "clock: relay minutes ahead\n", ""},
		{"-list -kinds earthquake", exitUsage, "", `no fault kind has "earthquake" in its name`},
		{"-help", exitOK, "", "-seed"},
		{"-long", exitUsage, "", "-long needs -state"},
		{"-duration -1s", exitUsage, "", "-duration must be positive, but it is -1s"},
		{"-seed x", exitUsage, "", `invalid value "x" for flag -seed`},
		{"now", exitUsage, "", `chaos takes no arguments, but got ["now"]`},
	} {
		var stdout, stderr strings.Builder
		assert.Equal(t, tt.code, run(t.Context(), strings.Fields(tt.args), &stdout, &stderr), tt.args)
		assert.Contains(t, stdout.String(), tt.stdout, tt.args)
		assert.Contains(t, stderr.String(), tt.stderr, tt.args)
	}
}
