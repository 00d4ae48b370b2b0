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
		{"-list", exitOK, "drain transaction 256B async\n", ""},
		{"-list -peers -cases debezium", exitOK, "peer debezium start\n", ""},
		{"-list -cases debezium", exitUsage, "", `no case has the words "debezium"`},
		{"-help", exitOK, "", "-cases"},
		{"-repeat 0", exitUsage, "", "-repeat must be at least 1, but it is 0"},
		{"-rows 0", exitUsage, "", "-rows must be at least 1, but it is 0"},
		{"-time 0", exitUsage, "", "-time must be positive, but it is 0"},
		{"-budget -1s", exitUsage, "", "-budget must not be negative, but it is -1s"},
		{"-profile", exitUsage, "", "-profile needs -dir"},
		{"-set batch", exitUsage, "", `"batch" is not key=value`},
		{"now", exitUsage, "", `bench takes no arguments, but got ["now"]`},
	} {
		var stdout, stderr strings.Builder
		assert.Equal(t, tt.code, run(t.Context(), strings.Fields(tt.args), &stdout, &stderr), tt.args)
		assert.Contains(t, stdout.String(), tt.stdout, tt.args)
		assert.Contains(t, stderr.String(), tt.stderr, tt.args)
	}
}
