package outbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/outbox"
)

func TestProfiles(t *testing.T) {
	t.Parallel()
	all := outbox.Profiles()
	apsara := []outbox.Profile{outbox.ApsaraMQ4, outbox.ApsaraMQ5}
	with := func(change func(*outbox.Message)) outbox.Message {
		m := outbox.Message{Topic: "orders", Payload: []byte("x")}
		change(&m)
		return m
	}
	body := func(n int) outbox.Message { return with(func(m *outbox.Message) { m.Payload = make([]byte, n) }) }
	delay := func(d time.Duration) outbox.Message {
		return with(func(m *outbox.Message) { m.DeliverAt = time.Now().Add(d) })
	}
	for _, tt := range []struct {
		name   string
		m      outbox.Message
		kind   outbox.TopicType
		refuse []outbox.Profile // those that do not take it
		want   string
	}{
		{"a message", with(func(*outbox.Message) {}), "", nil, ""},
		{"64 KiB, transaction", body(64 << 10), outbox.TransactionTopic, nil, ""},
		{"more, transaction", body(64<<10 + 1), outbox.TransactionTopic, apsara[:1], "payload 65537 bytes must be at most 65536 bytes on topics of type transaction (limits of "},
		{"more, delay", body(64<<10 + 1), outbox.DelayTopic, apsara[:1], "must be at most 65536 bytes on topics of type delay"},
		{"more, normal", body(64<<10 + 1), outbox.NormalTopic, nil, ""},
		{"more, of which the type is not known", body(64<<10 + 1), outbox.AnyTopic, nil, ""},
		{"more, delayed", with(func(m *outbox.Message) { m.Payload, m.DeliverAt = make([]byte, 64<<10+1), time.Now() }), outbox.AnyTopic, apsara[:1], "of type delay"},
		{"4 MiB", body(4 << 20), outbox.FIFOTopic, nil, ""},
		{"more than 4 MiB", body(4<<20 + 1), outbox.FIFOTopic, all, "payload 4194305 bytes must be at most 4194304 bytes (limits of "},
		{"nothing", body(0), "", all, "payload 0 bytes must not be empty"},
		{"a topic of 64", with(func(m *outbox.Message) { m.Topic = strings.Repeat("t", 64) }), "", nil, ""},
		{"a topic of 65", with(func(m *outbox.Message) { m.Topic = strings.Repeat("t", 65) }), "", apsara[:1], "must be at most 64 bytes long, is 65"},
		{"a topic of 128", with(func(m *outbox.Message) { m.Topic = strings.Repeat("t", 128) }), "", all, "bytes long, is 128"},
		{"a topic with signs", with(func(m *outbox.Message) { m.Topic = "a%b" }), "", apsara[1:], "must consist of a-z, A-Z, 0-9, '_' and '-' (limits of apsaramq-"},
		{"a topic for replies", with(func(m *outbox.Message) { m.Topic = "a_REPLY_TOPIC" }), "", apsara[1:], "is reserved by RocketMQ"},
		{"headers of 17 KiB", with(func(m *outbox.Message) { m.Headers = map[string]string{"h": strings.Repeat("v", 17<<10)} }), "", apsara, "headers "},
		{"a key of 65", with(func(m *outbox.Message) { m.OrderingKey = strings.Repeat("k", 65) }), "", all, "must be at most 64 bytes long"},
		{"however far ahead", delay(400 * 24 * time.Hour), "", nil, ""}, // it stays in the outbox
	} {
		for _, profile := range all {
			err := outbox.Rules{Profile: profile, Type: tt.kind}.Validate(tt.m)
			refused := false
			for _, p := range tt.refuse {
				refused = refused || p == profile
			}
			if !refused {
				require.NoError(t, err, "%s, %s", tt.name, profile)
				continue
			}
			require.ErrorContains(t, err, tt.want, "%s, %s", tt.name, profile)
			var invalid *outbox.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Len(t, invalid.Faults, 1, "%s, %s", tt.name, profile)
			if fault := invalid.Faults[0]; fault.Limit != 0 {
				require.Equal(t, profile, fault.Profile)
			}
		}
	}
	require.ErrorContains(t, outbox.Rules{Profile: "apache-6"}.Validate(body(1)),
		`unknown profile of limits "apache-6": must be one of apache-4.9, apache-5, apsaramq-4, apsaramq-5`)
}

func TestWriterHoldsMessagesToItsRules(t *testing.T) {
	t.Parallel()
	config, _ := newSchema(t, "p_")
	large := outbox.Message{Topic: "orders", Payload: make([]byte, 100_000)}
	for _, way := range ways() {
		err := way.write(t.Context(), config, outbox.Writer{Rules: outbox.Rules{Profile: outbox.ApsaraMQ4, Type: outbox.TransactionTopic}}, large)
		require.ErrorContains(t, err, "must be at most 65536 bytes on topics of type transaction (limits of apsaramq-4)")
	}
}
