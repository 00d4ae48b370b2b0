package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnknownVersionIsAMistake(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := run(t.Context(), "5.3.3,3.2.6", "", "", &out)
	require.EqualError(t, err, "version 3.2.6 is not in the matrix, which has 4.9.7, 5.1.4, 5.3.3, 5.5.0")
	require.Empty(t, out.String())
}
