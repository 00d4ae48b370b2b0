package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	ready := true
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || !ready {
			http.Error(w, "topics are not bound", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(relay.Close)
	address := strings.TrimPrefix(relay.URL, "http://")
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)

	ask := func(listen string) (int, string) {
		var stderr bytes.Buffer
		return run(t.Context(), []string{"healthcheck", "--http-listen", listen}, io.Discard, &stderr), stderr.String()
	}
	for _, listen := range []string{address, ":" + port, "0.0.0.0:" + port} {
		code, stderr := ask(listen)
		require.Equal(t, exitOK, code, "%s: %s", listen, stderr)
	}
	ready = false
	code, stderr := ask(address)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "not ready: topics are not bound")
	code, stderr = ask("off")
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "http.listen is off")
	relay.Close()
	code, stderr = ask(address)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "refused")
}
