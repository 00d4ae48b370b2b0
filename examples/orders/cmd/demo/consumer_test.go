package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outbox-relay/outbox-relay/examples/orders"
	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
)

// message is one as the official client hands it out.
func message(dedupKey string, body []byte) *primitive.MessageExt {
	m := &primitive.MessageExt{QueueOffset: 7}
	m.Queue = &primitive.MessageQueue{Topic: "orders", BrokerName: "broker-a", QueueId: 3}
	m.Body = body
	if dedupKey != "" {
		m.WithProperty("outbox-dedup-key", dedupKey)
	}
	return m
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(orders.Placed{ID: "A-1", Customer: "miller", Number: 4, Item: "bread", Cents: 250})
	require.NoError(t, err)
	where := audit.Delivery{Broker: "broker-a", Queue: 3, Offset: 7, At: start}
	for name, test := range map[string]struct {
		key  string
		body []byte
		want func(*audit.Delivery)
	}{
		"as it was written":             {"A-1", body, func(d *audit.Delivery) { d.ID, d.Customer, d.Number = "A-1", "miller", 4 }},
		"of another order":              {"A-2", body, func(d *audit.Delivery) { d.ID = "A-2" }},
		"without a key":                 {"", body, func(*audit.Delivery) {}},
		"with a body cut in the middle": {"A-1", body[:len(body)/2], func(d *audit.Delivery) { d.ID = "A-1" }},
		"without a body":                {"A-1", nil, func(d *audit.Delivery) { d.ID = "A-1" }},
		"of another kind":               {"A-1", []byte(`[1]`), func(d *audit.Delivery) { d.ID = "A-1" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := where
			test.want(&want)
			require.Equal(t, want, delivery(message(test.key, test.body), start))
		})
	}
}

// What the service writes, the audit recognises; what was changed on the way, it does not.
func TestDeliveriesAreJudgedByTheirContent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		placed := orders.Placed{
			ID: rapid.StringMatching(`[a-z0-9-]{1,20}`).Draw(t, "id"), Customer: rapid.String().Draw(t, "customer"),
			Number: rapid.Int64Min(1).Draw(t, "number"), Item: rapid.String().Draw(t, "item"), Cents: rapid.Int64().Draw(t, "cents"),
		}
		body, err := json.Marshal(placed)
		if err != nil {
			t.Fatal(err)
		}
		a := audit.New()
		a.Committed(placed.ID, placed.Customer, placed.Number, start)
		m := message(placed.ID, body)
		m.QueueOffset = 0
		a.Delivered(delivery(m, start))
		if v := a.Verdict(); !v.OK() {
			t.Fatalf("%s: %+v", body, v)
		}

		changed := placed
		switch rapid.IntRange(0, 2).Draw(t, "change") {
		case 0:
			changed.ID += "x"
		case 1:
			changed.Customer += "x"
		case 2:
			changed.Number--
		}
		if body, err = json.Marshal(changed); err != nil {
			t.Fatal(err)
		}
		a = audit.New()
		a.Committed(placed.ID, placed.Customer, placed.Number, start)
		m = message(placed.ID, body)
		m.QueueOffset = 0
		a.Delivered(delivery(m, start))
		if v := a.Verdict(); v.Unknown != 1 || v.OK() {
			t.Fatalf("%s: %+v", body, v)
		}
	})
}

// FuzzDelivery: no body stops the consumer, and one that is no order has no customer.
func FuzzDelivery(f *testing.F) {
	f.Add("A-1", []byte(`{"id":"A-1","customer":"miller","number":4}`))
	f.Add("A-1", []byte(`{"id":"A-1","number":"four"}`))
	f.Add("", []byte("null"))
	f.Fuzz(func(t *testing.T, key string, body []byte) {
		d := delivery(message(key, body), start)
		require.Equal(t, key, d.ID)
		if event, err := orders.DecodePlaced(body); err != nil || event.ID != key {
			require.Empty(t, fmt.Sprint(d.Customer))
			require.Zero(t, d.Number)
		}
	})
}
