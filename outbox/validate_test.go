package outbox_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// good is a message that uses everything and breaks nothing.
func good() outbox.Message {
	return outbox.Message{
		Topic:       "orders",
		Tag:         "created",
		Keys:        []string{"order-1", "kunde-ü"},
		OrderingKey: "customer-7",
		DedupKey:    "order-1/created",
		Headers:     map[string]string{"content-type": "application/json; charset=utf-8", "Größe": "klein"},
		Payload:     []byte{0x00, 0x01, 0xff},
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	type fault struct {
		field string
		kind  outbox.Kind
		rule  string // a part of it
	}
	when := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		change func(*outbox.Message)
		want   []fault
	}{
		{"nothing wrong", func(*outbox.Message) {}, nil},
		{"the least there can be", func(m *outbox.Message) { *m = outbox.Message{Topic: "t", Payload: []byte{0}} }, nil},

		{"no topic", func(m *outbox.Message) { m.Topic = "" }, []fault{{"topic", outbox.KindBadTopic, "must not be empty"}}},
		{"longest topic", func(m *outbox.Message) { m.Topic = strings.Repeat("t", 127) }, nil},
		{"topic too long", func(m *outbox.Message) { m.Topic = strings.Repeat("t", 128) }, []fault{{"topic", outbox.KindBadTopic, "at most 127 bytes long, is 128"}}},
		{"topic with every character", func(m *outbox.Message) { m.Topic = "azAZ09_-%|" }, nil},
		{"topic with a dot", func(m *outbox.Message) { m.Topic = "orders.v1" }, []fault{{"topic", outbox.KindBadTopic, "must consist of"}}},
		{"topic in another script", func(m *outbox.Message) { m.Topic = "Aufträge" }, []fault{{"topic", outbox.KindBadTopic, "must consist of"}}},
		{"topic that is not UTF-8", func(m *outbox.Message) { m.Topic = "a\xff" }, []fault{{"topic", outbox.KindBadTopic, "must consist of"}}},
		{"reserved topic", func(m *outbox.Message) { m.Topic = "RMQ_SYS_TRANS_HALF_TOPIC" }, []fault{{"topic", outbox.KindBadTopic, "reserved"}}},
		{"reserved topic prefix", func(m *outbox.Message) { m.Topic = "%RETRY%group" }, []fault{{"topic", outbox.KindBadTopic, "reserved"}}},

		{"tag with or", func(m *outbox.Message) { m.Tag = "a||b" }, []fault{{"tag", outbox.KindBadProperties, "must not contain '|'"}}},
		{"tag with a tab", func(m *outbox.Message) { m.Tag = "a\tb" }, []fault{{"tag", outbox.KindBadProperties, "control characters: 0x09 at byte 1"}}},
		{"tag with a space at its end", func(m *outbox.Message) { m.Tag = "a " }, []fault{{"tag", outbox.KindBadProperties, "white space"}}},
		{"tag with a space inside", func(m *outbox.Message) { m.Tag = "a b" }, nil},

		{"key with a space", func(m *outbox.Message) { m.Keys = []string{"a", "b c"} }, []fault{{"keys[1]", outbox.KindBadProperties, "must not contain a space"}}},
		{"empty key", func(m *outbox.Message) { m.Keys = []string{""} }, []fault{{"keys[0]", outbox.KindBadProperties, "must not be empty"}}},
		{"key with a separator", func(m *outbox.Message) { m.Keys = []string{"a\x01b"} }, []fault{{"keys[0]", outbox.KindBadProperties, "0x01 at byte 1"}}},

		{"dedup key with a space", func(m *outbox.Message) { m.DedupKey = "a b" }, []fault{{"dedup_key", outbox.KindBadProperties, "must not contain a space"}}},
		{"dedup key with zero", func(m *outbox.Message) { m.DedupKey = "a\x00" }, []fault{{"dedup_key", outbox.KindBadProperties, "0x00 at byte 1"}}},

		{"longest ordering key", func(m *outbox.Message) { m.OrderingKey = strings.Repeat("k", 64) }, nil},
		{"ordering key too long in bytes", func(m *outbox.Message) { m.OrderingKey = strings.Repeat("ü", 33) }, []fault{{"ordering_key", outbox.KindBadProperties, "at most 64 bytes long, is 66"}}},
		{"ordering key that is not UTF-8", func(m *outbox.Message) { m.OrderingKey = "abc\xc3" }, []fault{{"ordering_key", outbox.KindBadProperties, "valid UTF-8: 0xc3 at byte 3"}}},

		{"reserved header", func(m *outbox.Message) { m.Headers = map[string]string{"WAIT": "false"} }, []fault{{`headers["WAIT"]`, outbox.KindBadHeaders, "reserved"}}},
		{"reserved header prefix", func(m *outbox.Message) { m.Headers = map[string]string{"TIMER_DELIVER_MS": "1"} }, []fault{{`headers["TIMER_DELIVER_MS"]`, outbox.KindBadHeaders, "reserved"}}},
		{"header of the relay", func(m *outbox.Message) { m.Headers = map[string]string{"outbox-origin": "x"} }, []fault{{`headers["outbox-origin"]`, outbox.KindBadHeaders, "reserved"}}},
		{"a reserved name in lower case is another name", func(m *outbox.Message) { m.Headers = map[string]string{"wait": "1"} }, nil},
		{"empty header name", func(m *outbox.Message) { m.Headers = map[string]string{"": "x"} }, []fault{{`headers[""]`, outbox.KindBadHeaders, "must not be empty"}}},
		{"empty header value", func(m *outbox.Message) { m.Headers = map[string]string{"a": ""} }, []fault{{`headers["a"]`, outbox.KindBadHeaders, "must not be empty"}}},
		{"header name with a separator", func(m *outbox.Message) { m.Headers = map[string]string{"a\x01": "x"} }, []fault{{`headers["a\x01"]`, outbox.KindBadHeaders, "0x01 at byte 1"}}},
		{"header value with a separator", func(m *outbox.Message) { m.Headers = map[string]string{"a": "x\x02y"} }, []fault{{`headers["a"]`, outbox.KindBadHeaders, "0x02 at byte 1"}}},
		{"header value that is not UTF-8", func(m *outbox.Message) { m.Headers = map[string]string{"a": "ü\xff"} }, []fault{{`headers["a"]`, outbox.KindBadHeaders, "valid UTF-8: 0xff at byte 2"}}},

		{"no payload", func(m *outbox.Message) { m.Payload = nil }, []fault{{"payload", outbox.KindBodyEmpty, "must not be empty"}}},
		{"empty payload", func(m *outbox.Message) { m.Payload = []byte{} }, []fault{{"payload", outbox.KindBodyEmpty, "must not be empty"}}},
		{"largest payload", func(m *outbox.Message) { m.Payload = make([]byte, 4<<20) }, nil},
		{"payload too large", func(m *outbox.Message) { m.Payload = make([]byte, 4<<20+1) }, []fault{{"payload", outbox.KindBodyTooLarge, "at most 4194304 bytes"}}},

		{"available later, without order", func(m *outbox.Message) { m.OrderingKey, m.AvailableAt = "", when }, nil},
		{"available later, in order", func(m *outbox.Message) { m.AvailableAt = when }, []fault{{"available_at", outbox.KindNotAllowed, "together with ordering_key"}}},
		{"delayed, without order", func(m *outbox.Message) { m.OrderingKey, m.DeliverAt = "", when }, nil},
		{"delayed, in order", func(m *outbox.Message) { m.DeliverAt = when }, []fault{{"deliver_at", outbox.KindNotAllowed, "together with ordering_key"}}},

		{"everything at once", func(m *outbox.Message) {
			*m = outbox.Message{
				Topic: "a b", Tag: "|\n", Keys: []string{"a b", ""}, OrderingKey: "\x02", DedupKey: " ",
				Headers: map[string]string{"KEYS": "", "TAGS": "\x01"}, DeliverAt: when,
			}
		}, []fault{
			{"topic", outbox.KindBadTopic, "must consist of"},
			{"tag", outbox.KindBadProperties, "control characters"},
			{"tag", outbox.KindBadProperties, "must not contain '|'"},
			{"tag", outbox.KindBadProperties, "white space"},
			{"keys[0]", outbox.KindBadProperties, "space"},
			{"keys[1]", outbox.KindBadProperties, "empty"},
			{"ordering_key", outbox.KindBadProperties, "control characters"},
			{"dedup_key", outbox.KindBadProperties, "space"},
			{`headers["KEYS"]`, outbox.KindBadHeaders, "reserved"},
			{`headers["KEYS"]`, outbox.KindBadHeaders, "empty"},
			{`headers["TAGS"]`, outbox.KindBadHeaders, "reserved"},
			{`headers["TAGS"]`, outbox.KindBadHeaders, "control characters"},
			{"payload", outbox.KindBodyEmpty, "empty"},
			{"deliver_at", outbox.KindNotAllowed, "ordering_key"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := good()
			tt.change(&m)
			err := outbox.Validate(m)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			var invalid *outbox.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Len(t, invalid.Faults, len(tt.want), "%v", err)
			for i, want := range tt.want {
				require.Equal(t, want.field, invalid.Faults[i].Field)
				require.Equal(t, want.kind, invalid.Faults[i].Kind)
				require.Contains(t, invalid.Faults[i].Rule, want.rule)
			}
		})
	}
}

// TestValidateReservedNames holds the tables to what the classes they were taken from list, as far as a user could be hurt.
func TestValidateReservedNames(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{
		"TBW102", "BenchmarkTest", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC",
		"RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC", "CHECKPOINT_TOPIC",
		"rmq_sys_wheel_timer", "%RETRY%g", "%DLQ%g", "rocketmq-broker-1",
	} {
		require.Error(t, outbox.Validate(outbox.Message{Topic: topic, Payload: []byte("x")}), topic)
	}
	for _, header := range []string{
		"KEYS", "TAGS", "UNIQ_KEY", "TRAN_MSG", "PGROUP", "WAIT", "DELAY", "TIMER_DELIVER_MS", "TIMER_DELAY_SEC",
		"TIMER_DELAY_MS", "SHARDING_KEY", "__SHARDINGKEY", "__transactionId__", "REAL_TOPIC", "REAL_QID",
		"CHECK_IMMUNITY_TIME_IN_SECONDS", "TRAN_PREPARED_QUEUE_OFFSET", "TRANSACTION_CHECK_TIMES", "outbox-origin", "outbox-id",
		"outbox-dedup-key",
	} {
		m := outbox.Message{Topic: "t", Payload: []byte("x"), Headers: map[string]string{header: "x"}}
		require.Error(t, outbox.Validate(m), header)
	}
}

// TestValidatePropertyBytes finds the very byte at which a message becomes too large.
func TestValidatePropertyBytes(t *testing.T) {
	t.Parallel()
	with := func(change func(m *outbox.Message, n int)) (largest int) {
		for low, high := 0, outbox.MaxPropertyBytes+1; ; {
			if high-low <= 1 {
				return low
			}
			n := (low + high) / 2
			m := outbox.Message{Topic: "t", Payload: []byte("x")}
			change(&m, n)
			if outbox.Validate(m) == nil {
				low = n
			} else {
				high = n
			}
		}
	}
	header := with(func(m *outbox.Message, n int) { m.Headers = map[string]string{"h": strings.Repeat("v", n)} })
	require.Greater(t, header, 31_000, "the relay's own properties leave most of the room")
	require.Less(t, header, 31_700)
	twice := with(func(m *outbox.Message, n int) { m.DedupKey = strings.Repeat("d", n) })
	require.InDelta(t, header/2, twice, 100, "a deduplication key is in the message twice")
	key := with(func(m *outbox.Message, n int) { m.Keys = []string{strings.Repeat("k", n)} })
	require.InDelta(t, header, key, 10)

	err := outbox.Validate(outbox.Message{
		Topic: "t", Payload: []byte("x"), Headers: map[string]string{"h": strings.Repeat("v", header+1)},
	})
	var invalid *outbox.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, []outbox.Fault{{
		Message: 0, Field: "properties", Value: "32001 bytes", Kind: outbox.KindBadProperties,
		Rule: "must be at most 32000 bytes in all, with those of the relay", Limit: 32_000, Profile: outbox.Apache5,
	}}, invalid.Faults)
}

func TestInvalidErrorNamesMessagesAndKeepsSecrets(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("topsecret", 10)
	bad := outbox.Message{
		Topic: strings.Repeat("tö", 40), Payload: nil,
		Headers: map[string]string{"authorization": secret + "\x01"},
	}
	err := outbox.Validate(good(), bad, good(), outbox.Message{Topic: "t", Payload: []byte(secret), Tag: "a|b"})
	require.EqualError(t, err, fmt.Sprintf("invalid outbox message: "+
		"message 1: topic %q… must consist of a-z, A-Z, 0-9, '_', '-', '%%' and '|'; "+
		`message 1: headers["authorization"] value must not contain control characters: 0x01 at byte 90; `+
		"message 1: payload 0 bytes must not be empty; "+
		`message 3: tag "a|b" must not contain '|', which means "or" in a consumer's filter`, strings.Repeat("tö", 21)+"t"))
	require.NotContains(t, err.Error(), "topsecret")
}

func TestInvalidErrorIsBounded(t *testing.T) {
	t.Parallel()
	err := outbox.Validate(make([]outbox.Message, 1000)...)
	var invalid *outbox.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Faults, 2000)
	require.Less(t, len(err.Error()), 2000)
	require.Contains(t, err.Error(), "and 1980 more")
}

func FuzzValidateProperties(f *testing.F) {
	f.Add("tag", "key", "order", "dedup", "name", "value")
	f.Add("a|b", "a b", "\x01", "", "WAIT", "\xff")
	f.Fuzz(func(t *testing.T, tag, key, order, dedup, name, value string) {
		m := outbox.Message{
			Topic: "t", Tag: tag, Keys: []string{key}, OrderingKey: order, DedupKey: dedup,
			Headers: map[string]string{name: value}, Payload: []byte("x"),
		}
		err := outbox.Validate(m)
		if err != nil {
			var invalid *outbox.InvalidError
			require.ErrorAs(t, err, &invalid)
			for _, fault := range invalid.Faults {
				require.NotEmpty(t, fault.Field)
				require.NotEmpty(t, fault.Rule)
				require.NotEmpty(t, fault.Kind)
			}
			return
		}
		// What passes survives RocketMQ's encoding: name 0x01 value 0x02, keys separated by spaces.
		for _, s := range []string{tag, key, order, dedup, name, value} {
			require.NotContains(t, s, "\x01")
			require.NotContains(t, s, "\x02")
			require.NotContains(t, s, "\x00")
		}
		require.NotContains(t, key+dedup, " ")
		require.NotContains(t, tag, "|")
		headers := maps.Clone(m.Headers)
		delete(headers, "")
		require.Len(t, headers, 1)
	})
}
