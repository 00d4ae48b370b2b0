package app

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/pooler"
	"github.com/outbox-relay/outbox-relay/internal/stack"
)

func TestDatabaseBehindAPooler(t *testing.T) {
	t.Parallel()
	for mode, works := range map[string]bool{"session": true, "transaction": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b, err := stack.StartPgBouncer(t.Context(), w.url, mode, nil, stack.Options{})
			if errors.Is(err, stack.ErrNoPgBouncer) {
				t.Skip(err)
			}
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, b.Close()) })
			w.insert(20)
			direct := w.url
			w.url = b.URL(direct)
			cfg := w.config()
			w.url = direct
			if !works {
				err := Run(t.Context(), cfg, Process{Log: discard()})
				require.ErrorIs(t, err, pooler.ErrTransaction, "it ends at once, and says what to do")
				require.ErrorContains(t, err, "pool_mode=session")
				require.Equal(t, 20, w.count("outbox"))
				_, err = ReadStatus(t.Context(), cfg)
				require.ErrorIs(t, err, pooler.ErrTransaction)
				_, err = MigrateUp(t.Context(), cfg)
				require.ErrorIs(t, err, pooler.ErrTransaction)
				_, err = MigrateStatus(t.Context(), cfg)
				require.ErrorIs(t, err, pooler.ErrTransaction)
				_, err = MigrateDown(t.Context(), cfg, true)
				require.ErrorIs(t, err, pooler.ErrTransaction)
				return
			}
			_, err = MigrateUp(t.Context(), cfg)
			require.NoError(t, err)
			p := start(t, cfg)
			p.eventually("published", func() bool { return w.count("outbox") == 0 })
			require.NoError(t, p.end())
			require.Len(t, p.log.with(`"msg":"session opened"`), 1)
		})
	}
}
