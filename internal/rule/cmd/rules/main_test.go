package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), "no rule has this name", &out))
	assert.Equal(t, "0 removals, 0 not noticed\n", out.String())
	require.ErrorContains(t, run(t.Context(), "(", &out), "-only")
	require.ErrorContains(t, run(t.Context(), "^1$", &out), "read what is to be mutated", "it runs at the root of the project")
}
