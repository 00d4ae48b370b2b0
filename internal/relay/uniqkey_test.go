package relay

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nearlyTime is what RocketMQ's MessageClientIDSetter.getNearlyTimeFromID makes of a UNIQ_KEY in a time zone.
func nearlyTime(t *testing.T, uniqKey string, now time.Time, zone *time.Location) time.Time {
	t.Helper()
	raw, err := hex.DecodeString(uniqKey)
	require.NoError(t, err)
	ms := int64(raw[10])<<24 | int64(raw[11])<<16 | int64(raw[12])<<8 | int64(raw[13])
	local := now.In(zone)
	month := time.Date(local.Year(), local.Month(), 1, 0, 0, 0, 0, zone)
	at := month.Add(time.Duration(ms) * time.Millisecond)
	if !at.Before(now) {
		at = month.AddDate(0, -1, 0).Add(time.Duration(ms) * time.Millisecond)
	}
	return at
}

func TestUniqKeyIsFoundByRocketMQsToolsInEveryTimeZone(t *testing.T) {
	t.Parallel()
	for _, now := range []time.Time{
		time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC),
		time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(2026, 3, 1, 0, 0, 1, 0, time.UTC),
		time.Date(2026, 3, 1, 13, 0, 1, 0, time.UTC),
	} {
		id, err := NewAttemptID(now)
		require.NoError(t, err)
		key := id.UniqKey(0x1234)
		assert.Regexp(t, `^[0-9A-F]{32}$`, key)
		assert.Equal(t, "1234", key[28:])
		for hours := -12; hours <= 14; hours++ {
			zone := time.FixedZone("", hours*3600)
			searched := nearlyTime(t, key, now.Add(time.Minute), zone)
			assert.False(t, searched.After(now), "%s in zone %d: the search starts at %s, after the message", now, hours, searched)
		}
	}
}

func TestAttemptIDsDiffer(t *testing.T) {
	t.Parallel()
	now := time.Now()
	seen := make(map[AttemptID]bool)
	for range 10_000 {
		id, err := NewAttemptID(now)
		require.NoError(t, err)
		require.False(t, seen[id])
		seen[id] = true
	}
}
