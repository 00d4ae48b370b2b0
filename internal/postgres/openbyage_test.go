package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestOpenByAge(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	ends := []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute}
	read := func() []int64 {
		t.Helper()
		counts, err := o.OpenByAge(t.Context(), ends)
		require.NoError(t, err)
		return counts
	}
	require.Equal(t, []int64{0, 0, 0, 0}, read())

	session := o.session("a", all)
	ids := o.insert(11)
	o.decided(session, ids[0:1]...)
	for i, age := range []string{"30 s", "5 min", "1 h"} {
		a := o.decided(session, ids[1+3*i:4+3*i]...)
		o.exec(`UPDATE outbox_attempt SET decided_at = now() - $2::interval WHERE id = $1`, a.ID[:], age)
		if i == 2 {
			o.write(session, []relay.Closing{{Attempt: a.ID, Struck: []int{1}}})
		}
	}
	closed := o.decided(session, ids[10:11]...)
	o.write(session, []relay.Closing{{Attempt: closed.ID, All: true}})
	require.Equal(t, []int64{1, 3, 3, 2}, read(), "a closed entry, or a closed attempt, is not open")
}
