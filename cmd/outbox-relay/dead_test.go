package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeadLettersByCommand(t *testing.T) {
	t.Parallel()
	environ, url, topic := world(t)
	code, _, _ := do(t, environ, "migrate", "up")
	require.Zero(t, code)
	db := connect(t, url)
	_, err := db.Exec(t.Context(), `INSERT INTO "the outbox".outbox_dead (id, created_at, shard, attempts, topic, payload, reason, error)
		SELECT n, now(), 0, 0, $1, '\x00ff', 'body_too_large', 'too large' FROM generate_series(1, 5) n`, topic)
	require.NoError(t, err)

	code, stdout, stderr := do(t, environ, "dead", "list", "--reason=body_too_large,bad_headers", "--newer-than=1h")
	require.Zero(t, code, stderr)
	require.Regexp(t, `body_too_large +`+topic+` +5 `, stdout)
	_, stdout, _ = do(t, environ, "dead", "list", "--letters", "--limit=2")
	require.Contains(t, stdout, "and 3 more: --limit\n")
	file := filepath.Join(t.TempDir(), "payload")
	code, stdout, _ = do(t, environ, "dead", "show", "--id=3", "--payload", file)
	require.Zero(t, code)
	require.Regexp(t, `reason +body_too_large`, stdout)
	payload, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0xff}, payload)

	for _, word := range []string{"requeue", "discard"} {
		code, stdout, stderr = do(t, environ, "dead", word)
		require.Equal(t, exitFailure, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "name the letters: --id, ")
	}
	code, stdout, _ = do(t, environ, "dead", "requeue", "--id=1", "--id=2,4", "--dry-run")
	require.Zero(t, code)
	require.Contains(t, stdout, "dry run, nothing was changed; 3 letters would be requeued")
	code, stdout, _ = do(t, environ, "dead", "requeue", "--id=1", "--id=2,4")
	require.Zero(t, code)
	require.Contains(t, stdout, "3 of 3 letters were requeued")
	require.Equal(t, 3, left(t, db))
	code, _, stderr = do(t, environ, "dead", "requeue", "--id=1", "--id=3")
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "no dead letter that is meant has id 1 (1 in the outbox, pending")
	require.Contains(t, stderr, "nothing was changed")
	code, stdout, _ = do(t, environ, "dead", "discard", "--all")
	require.Zero(t, code)
	require.Contains(t, stdout, "2 of 2 letters were discarded")
	_, stdout, _ = do(t, environ, "dead", "list", "--json")
	require.Equal(t, "[]\n", stdout)
}
