package relay

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestMessageCarriesTheRow(t *testing.T) {
	t.Parallel()
	r := &Relay{origin: "0f8fad5b-d9cb-469f-a165-70867728950e"}
	half, failure := r.message(&Row{
		ID: 7, Topic: "orders", Tag: "created", Keys: "o-1 c-9", OrderingKey: "c-9", Payload: []byte{0, 0xff},
		Headers: []byte(`{"b":"2","a":1,"ok":true,"none":null}`),
	})
	assert.Nil(t, failure)
	assert.Equal(t, Half{
		Topic: "orders", Tag: "created", Keys: r.origin + "-7 o-1 c-9", Ordering: "c-9", Body: []byte{0, 0xff},
		Properties: []Property{
			{"outbox-origin", r.origin}, {"outbox-id", "7"}, {"outbox-dedup-key", r.origin + "-7"}, {"a", "1"}, {"b", "2"}, {"ok", "true"},
		},
	}, half)
	half, failure = r.message(&Row{ID: 7, Topic: "orders", DedupKey: "own", Payload: []byte("x")})
	assert.Nil(t, failure)
	assert.Equal(t, "own", half.Keys)
}

func TestMessageRefusesWhatCanNeverGoThrough(t *testing.T) {
	t.Parallel()
	r := &Relay{origin: "0f8fad5b-d9cb-469f-a165-70867728950e"}
	x := []byte("x")
	tests := map[string]struct {
		row    Row
		reason Reason
		says   string
	}{
		"empty body":          {Row{Payload: []byte{}}, ReasonBodyEmpty, "payload"},
		"large body":          {Row{Payload: bytes.Repeat(x, 4<<20+1)}, ReasonBodyTooLarge, "4194304"},
		"headers no object":   {Row{Payload: x, Headers: []byte(`[1]`)}, ReasonBadHeaders, "JSON object"},
		"nested header":       {Row{Payload: x, Headers: []byte(`{"a":{}}`)}, ReasonBadHeaders, "must be a string"},
		"reserved header":     {Row{Payload: x, Headers: []byte(`{"WAIT":"false"}`)}, ReasonBadHeaders, "WAIT"},
		"control character":   {Row{Payload: x, Headers: []byte(`{"a":"\u0001"}`)}, ReasonBadHeaders, "0x01"},
		"dedup key in two":    {Row{Payload: x, DedupKey: "a b"}, ReasonBadProperties, "dedup_key"},
		"tag that means or":   {Row{Payload: x, Tag: "a||b"}, ReasonBadProperties, "tag"},
		"delay":               {Row{Payload: x, DeliverAt: time.Now()}, ReasonNotAllowed, "deliver_at"},
		"long ordering key":   {Row{Payload: x, OrderingKey: string(bytes.Repeat(x, 65))}, ReasonBadProperties, "ordering_key"},
		"too many properties": {Row{Payload: x, Keys: string(bytes.Repeat(x, 33_000))}, ReasonBadProperties, "32000"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.row.ID, tt.row.Topic = 7, "orders"
			_, failure := r.message(&tt.row)
			if assert.NotNil(t, failure) {
				assert.Equal(t, tt.reason, failure.Reason)
				assert.Contains(t, failure.Error, tt.says)
				assert.EqualValues(t, 7, failure.Row)
			}
		})
	}
}

// FuzzMessage makes messages of rows that anybody wrote: what is not refused has nothing in it that RocketMQ would take for
// something else.
func FuzzMessage(f *testing.F) {
	f.Add("orders", "created", "o-1 c-9", "c-9", "", []byte(`{"a":1}`), []byte("x"))
	f.Add("", "a|b", "\t\n", "\x01", " ", []byte(`[]`), []byte{})
	f.Add("orders", " ", "a\u00a0b", "", "\x7f", []byte(`{"KEYS":"x","a":"\u0002"}`), []byte("x"))
	f.Fuzz(func(t *testing.T, topic, tag, keys, ordering, dedup string, headers, payload []byte) {
		r := &Relay{origin: "0f8fad5b-d9cb-469f-a165-70867728950e"}
		row := Row{
			ID: 7, Topic: topic, Tag: tag, Keys: keys, OrderingKey: ordering, DedupKey: dedup, Headers: headers, Payload: payload, Size: int64(len(payload)),
		}
		half, failure := r.message(&row)
		if failure != nil {
			assert.NotEmpty(t, failure.Error)
			assert.Contains(t, Reasons(), failure.Reason)
			assert.True(t, utf8.ValidString(failure.Error), "%q", failure.Error)
			assert.NotContains(t, failure.Error, "\x00")
			return
		}
		texts, names := []string{half.Topic, half.Tag, half.Keys, half.Ordering}, map[string]bool{}
		for _, p := range half.Properties {
			texts = append(texts, p.Name, p.Value)
			assert.False(t, names[p.Name], "property %q twice", p.Name)
			assert.NotEmpty(t, p.Value)
			names[p.Name] = true
		}
		for _, text := range texts {
			assert.True(t, utf8.ValidString(text))
			assert.False(t, strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }), "%q", text)
		}
		assert.NotEmpty(t, half.Body)
	})
}
