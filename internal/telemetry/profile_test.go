package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/telemetry"
)

// The command line is shown by a profile's index, so it is served only where it is asked for.
func TestProfilesAreServedOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	status := func(handler http.Handler, path string) int {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return answer.Code
	}
	plain := http.NewServeMux()
	plain.HandleFunc("GET /metrics", func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/cmdline"} {
		require.Equal(t, http.StatusNotFound, status(plain, path), path)
		require.Equal(t, http.StatusOK, status(telemetry.WithProfiles(plain), path), path)
	}
	require.Equal(t, http.StatusOK, status(telemetry.WithProfiles(plain), "/metrics"))
	require.Equal(t, http.StatusNotFound, status(telemetry.WithProfiles(plain), "/else"))
}
