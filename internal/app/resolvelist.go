package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
)

// OpenMessage is a message whose outcome is not written yet.
type OpenMessage struct {
	Attempt  string  `json:"attempt"`
	UniqKey  string  `json:"uniq_key"`
	Row      int64   `json:"row"`
	Topic    string  `json:"topic"`
	Key      string  `json:"ordering_key"` // "" = none
	Broker   string  `json:"broker"`
	Queue    int     `json:"queue"`
	BornUnix float64 `json:"born_unix"`
	Age      float64 `json:"age_seconds"`
	Why      string  `json:"why"`
}

// Selection says which open messages are meant. What is not set selects nothing away.
type Selection struct {
	Broker    string
	Topic     string
	Key       string
	Row       int64
	Attempt   string // an attempt, or the UNIQ_KEY of one message
	OlderThan time.Duration
}

// names reports whether the selection names anything but an age.
func (s Selection) names() bool {
	return s.Broker != "" || s.Topic != "" || s.Row != 0 || s.Attempt != ""
}

func (s Selection) has(e postgres.OpenEntry) bool {
	id := strings.ToUpper(s.Attempt)
	return (s.Broker == "" || s.Broker == e.Broker) &&
		(s.Topic == "" || s.Topic == e.Target.Topic) &&
		(s.Key == "" || s.Key == e.Entry.OrderingKey) &&
		(s.Row == 0 || s.Row == e.Entry.Row) &&
		(id == "" || id == e.Attempt.String() || id == e.UniqKey()) &&
		e.Age >= s.OlderThan
}

// overdueAfter is how long after its window and margin a message may be open while its relay lives: what the resolver can prove,
// it has proven by then.
const overdueAfter = time.Minute

// overdue reports whether a message will probably not be resolved without a person.
func overdue(e postgres.OpenEntry, margin time.Duration) bool {
	return !e.Alive && e.Age > e.Window+margin || e.Age > e.Window+margin+overdueAfter
}

// ListOpen writes the open messages that need a person, or all.
func ListOpen(ctx context.Context, cfg *config.Config, s Selection, all, asJSON bool, w io.Writer) error {
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		entries, err := store.OpenEntries(ctx)
		if err != nil {
			return err
		}
		brokers, err := askBrokers(ctx, cfg)
		if err != nil {
			return err
		}
		defer brokers.close()
		leases, err := store.Leases(ctx)
		if err != nil {
			return err
		}
		messages := []OpenMessage{}
		for _, e := range entries {
			if s.has(e) && (all || overdue(e, cfg.AppendMargin)) {
				messages = append(messages, openMessage(e, why(e, cfg.AppendMargin, brokers, len(leases) > 0)))
			}
		}
		if asJSON {
			encoder := json.NewEncoder(w)
			encoder.SetIndent("", "  ")
			return encoder.Encode(messages)
		}
		return writeMessages(w, messages)
	})
}

func openMessage(e postgres.OpenEntry, why string) OpenMessage {
	return OpenMessage{
		Attempt: e.Attempt.String(), UniqKey: e.UniqKey(), Row: e.Entry.Row, Topic: e.Target.Topic, Key: e.Entry.OrderingKey,
		Broker: e.Broker, Queue: e.Target.Queue, BornUnix: float64(e.Born.UnixMilli()) / 1000, Age: e.Age.Seconds(), Why: why,
	}
}

// why says what stands in the way, as far as it can be seen from here.
func why(e postgres.OpenEntry, margin time.Duration, brokers *brokers, relays bool) string {
	_, routed := brokers.master(e.Broker)
	switch left := e.Window + margin - e.Age; {
	case left > 0:
		return "its window is over in " + left.Round(time.Second).String()
	case brokers.known() && !routed:
		return "the broker is not registered at the name servers"
	case !relays:
		return "no relay runs"
	case !e.Alive && e.Age < e.Window+margin+overdueAfter:
		return "its relay is gone; the next one looks for it"
	default:
		return "the relay cannot prove it: see its log"
	}
}

func writeMessages(w io.Writer, messages []OpenMessage) error {
	if len(messages) == 0 {
		_, err := fmt.Fprintln(w, "none")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "ROW\tTOPIC\tKEY\tBROKER\tQUEUE\tUNIQ_KEY\tBORN\tAGE\tWHY") // Flush tells of errors.
	for _, m := range messages {
		born := time.UnixMilli(int64(m.BornUnix * 1000)).UTC().Format("2006-01-02 15:04:05Z")
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", m.Row, m.Topic, printable(m.Key), m.Broker, m.Queue, m.UniqKey, born,
			seconds(m.Age), m.Why)
	}
	return t.Flush()
}

// printable keeps an application's text from breaking the table.
func printable(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}
