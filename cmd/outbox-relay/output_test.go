package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is printed is SQL that psql can be given: statements, comments, and nothing else.
func TestGrantsAreSQL(t *testing.T) {
	t.Parallel()
	code, sql, stderr := in(t, "grants", `--app-role=o'brien "x"`, "--database-schema=the outbox")
	require.Zero(t, code)
	require.Empty(t, stderr)
	require.Contains(t, sql, `TO "o'brien ""x""";`)
	for line := range strings.Lines(sql) {
		line = strings.TrimSpace(line)
		require.True(t, line == "" || strings.HasPrefix(line, "--") || strings.HasPrefix(line, "GRANT ") || strings.HasSuffix(line, ";"), "%q", line)
	}
	require.NotContains(t, sql, "ALL PRIVILEGES")
	require.NotContains(t, sql, "TO PUBLIC")
	code, defaults, _ := in(t, "grants")
	require.Zero(t, code)
	require.Contains(t, defaults, `TO "app";`)
	require.Contains(t, defaults, `TO "outbox_relay";`)
}

func TestHealthcheckOfAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		code   int
		stderr string
	}{
		"ready":            {200, `{"ready":true}`, exitOK, ""},
		"not ready":        {503, `{"ready":false}`, exitFailure, "outbox-relay: not ready: {\"ready\":false}\n"},
		"without a reason": {503, "", exitFailure, "outbox-relay: not ready:\n"},
		"another server":   {404, "404 page not found\n", exitFailure, "outbox-relay: not ready: 404 page not found\n"},
		"no content":       {204, "", exitFailure, "outbox-relay: not ready:\n"},
		"a long answer":    {500, strings.Repeat("x", 1<<20), exitFailure, "outbox-relay: not ready: " + strings.Repeat("x", 4096) + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body)) // 204 has none
			}))
			t.Cleanup(server.Close)
			code, stdout, stderr := in(t, "healthcheck", "--http-listen", strings.TrimPrefix(server.URL, "http://"))
			require.Equal(t, test.code, code)
			require.Empty(t, stdout)
			require.Equal(t, test.stderr, stderr)
		})
	}
	for listen, want := range map[string]string{":0": "http.listen is :0: that is no address to ask", "": "http.listen is off"} {
		code, _, stderr := in(t, "healthcheck", "--http-listen="+listen)
		require.Equal(t, exitFailure, code)
		require.Contains(t, stderr, want)
	}
	code, _, stderr := in(t, "healthcheck", "--http-listen=nonsense")
	require.Equal(t, exitUsage, code, "a setting that is wrong is told from a relay that is")
	require.Contains(t, stderr, "flag --http-listen: http.listen")
}
