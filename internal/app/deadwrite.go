package app

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
)

// How dead letters are shown, to people and to programs.

// DeadGroup is how many letters of one reason a topic has.
type DeadGroup struct {
	Reason string    `json:"reason"`
	Topic  string    `json:"topic"`
	Rows   int64     `json:"rows"`
	Keys   int64     `json:"blocked_keys"` // ordering keys that wait for them
	Bytes  int64     `json:"payload_bytes"`
	Oldest time.Time `json:"oldest"` // died
	Newest time.Time `json:"newest"`
}

// DeadRow is one letter of a list.
type DeadRow struct {
	ID       int64     `json:"id"`
	Topic    string    `json:"topic"`
	Key      string    `json:"ordering_key"` // "" = none
	Blocks   bool      `json:"blocks_key"`
	Reason   string    `json:"reason"`
	Status   string    `json:"status"` // what the broker answered; "" = it was not asked
	Broker   string    `json:"broker"`
	Error    string    `json:"error"`
	Attempts int16     `json:"attempts"`
	Size     int64     `json:"payload_bytes"`
	Created  string    `json:"created_at"`
	Died     time.Time `json:"died_at"`
}

// DeadLetter is one letter with all there is.
type DeadLetter struct {
	DeadRow
	Tag       *string         `json:"tag"`
	Keys      *string         `json:"keys"`
	DedupKey  string          `json:"dedup_key"` // what the message carries
	OwnDedup  bool            `json:"own_dedup_key"`
	Headers   json.RawMessage `json:"headers"`
	DeliverAt string          `json:"deliver_at,omitempty"`
	SHA256    string          `json:"payload_sha256"`
	Text      string          `json:"payload_text,omitempty"`   // if it is short text
	Base64    string          `json:"payload_base64,omitempty"` // its beginning otherwise
}

// DeadChanged is what requeueing or discarding did, or would do.
type DeadChanged struct {
	Action  string      `json:"action"` // requeued or discarded
	DryRun  bool        `json:"dry_run"`
	Matched int         `json:"matched"`
	Changed int         `json:"changed"`
	IDs     []int64     `json:"ids"`
	Groups  []DeadGroup `json:"groups"`
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func deadGroups(groups []postgres.DeadGroup) []DeadGroup {
	out := make([]DeadGroup, len(groups))
	for i, g := range groups {
		out[i] = DeadGroup{Reason: g.Reason, Topic: g.Topic, Rows: g.Rows, Keys: g.Keys, Bytes: g.Bytes, Oldest: g.Oldest, Newest: g.Newest}
	}
	return out
}

func deadRow(r postgres.DeadRow) DeadRow {
	return DeadRow{
		ID: r.ID, Topic: r.Topic, Key: r.Key, Blocks: r.Blocks, Reason: r.Reason, Status: r.Status, Broker: r.Broker, Error: r.Error,
		Attempts: r.Attempts, Size: r.Size, Created: timestamp(r.Created), Died: r.Died,
	}
}

// timestamp writes a time that may be infinite; "" for none.
func timestamp(t pgtype.Timestamptz) string {
	switch {
	case !t.Valid:
		return ""
	case t.InfinityModifier != pgtype.Finite:
		return t.InfinityModifier.String()
	}
	return t.Time.UTC().Format(time.RFC3339Nano)
}

func second(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func writeGroups(w io.Writer, groups []postgres.DeadGroup, inJSON bool) error {
	if inJSON {
		return writeJSON(w, deadGroups(groups))
	}
	if len(groups) == 0 {
		_, err := fmt.Fprintln(w, "none")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "REASON\tTOPIC\tROWS\tBLOCKED KEYS\tBYTES\tOLDEST\tNEWEST") // Flush tells of errors.
	for _, g := range groups {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%s\t%s\n", g.Reason, plain(g.Topic), g.Rows, g.Keys, g.Bytes, second(g.Oldest), second(g.Newest))
	}
	return t.Flush()
}

func writeDeadRows(w io.Writer, rows []postgres.DeadRow, all int64, inJSON bool) error {
	if inJSON {
		out := make([]DeadRow, len(rows))
		for i, r := range rows {
			out[i] = deadRow(r)
		}
		return writeJSON(w, out)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "none")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "ID\tTOPIC\tKEY\tREASON\tSTATUS\tBROKER\tATTEMPTS\tBYTES\tDIED\tERROR") // Flush tells of errors.
	for _, r := range rows {
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", r.ID, plain(r.Topic), plain(r.Key), r.Reason, dash(r.Status),
			dash(r.Broker), r.Attempts, r.Size, second(r.Died), short(r.Error))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := all - int64(len(rows)); more > 0 {
		_, err := fmt.Fprintf(w, "and %d more: --limit\n", more)
		return err
	}
	return nil
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return plain(text)
}

// plain keeps an application's text from breaking the table or the terminal.
func plain(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) >= 0 {
		return strconv.Quote(text)
	}
	return text
}

// short cuts an error to what fits into a table.
func short(text string) string {
	const most = 120
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return plain(text)
}

func writeLetter(w io.Writer, l postgres.DeadLetter, origin string, inJSON bool) error {
	out := DeadLetter{
		DeadRow: deadRow(l.DeadRow), Tag: l.Tag, Keys: l.Keys, Headers: l.Headers, DeliverAt: timestamp(l.DeliverAt),
		SHA256: hex.EncodeToString(l.SHA256), DedupKey: origin + "-" + strconv.FormatInt(l.ID, 10),
	}
	if l.DedupKey != nil && *l.DedupKey != "" {
		out.DedupKey, out.OwnDedup = *l.DedupKey, true
	}
	whole := int64(len(l.Head)) == l.Size
	if whole && readable(l.Head) {
		out.Text = string(l.Head)
	} else {
		out.Base64 = base64.StdEncoding.EncodeToString(l.Head)
	}
	if inJSON {
		if !json.Valid(out.Headers) { // cut, because it is far too long
			out.Headers = json.RawMessage("null")
		}
		return writeJSON(w, out)
	}
	return writeLetterTable(w, out, l.Head, whole)
}

func writeLetterTable(w io.Writer, l DeadLetter, head []byte, whole bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) { _, _ = fmt.Fprintf(t, "%s\t%s\n", name, value) } // Flush tells of errors.
	own := " (the default)"
	if l.OwnDedup {
		own = ""
	}
	line("id", strconv.FormatInt(l.ID, 10))
	line("topic", plain(l.Topic))
	line("reason", l.Reason)
	line("error", plain(l.Error))
	line("status", dash(l.Status))
	line("broker", dash(l.Broker))
	line("attempts", strconv.Itoa(int(l.Attempts)))
	line("ordering key", dash(l.Key))
	if l.Blocks {
		line("", "later rows of the key wait for it")
	}
	line("dedup key", plain(l.DedupKey)+own)
	line("tag", optional(l.Tag))
	line("keys", optional(l.Keys))
	line("headers", dash(string(l.Headers)))
	line("created", l.Created)
	line("deliver at", dash(l.DeliverAt))
	line("died", l.Died.UTC().Format(time.RFC3339Nano))
	line("payload", fmt.Sprintf("%d bytes, SHA-256 %s", l.Size, l.SHA256))
	if err := t.Flush(); err != nil {
		return err
	}
	return writeHead(w, l, head, whole)
}

// writeHead shows a payload: short text as it is, otherwise the beginning as a hex dump.
func writeHead(w io.Writer, l DeadLetter, head []byte, whole bool) error {
	const dump = 256
	switch {
	case l.Size == 0:
		return nil
	case l.Text != "":
		_, err := fmt.Fprintf(w, "\n%s\n", l.Text)
		return err
	}
	more := ""
	if !whole || len(head) > dump {
		head = head[:min(len(head), dump)]
		more = fmt.Sprintf("the first %d of %d bytes: --payload FILE writes them all\n", len(head), l.Size)
	}
	_, err := fmt.Fprintf(w, "\n%s%s", hex.Dump(head), more)
	return err
}

func optional(text *string) string {
	if text == nil {
		return "-"
	}
	return strconv.Quote(*text)
}

// readable reports whether a payload is text that does a terminal no harm.
func readable(b []byte) bool {
	return utf8.Valid(b) && strings.IndexFunc(string(b), func(r rune) bool {
		return r != '\n' && r != '\t' && !unicode.IsPrint(r)
	}) < 0
}

func writeChanged(w io.Writer, c DeadChange, p postgres.DeadPlan, done int) error {
	if c.JSON {
		return writeJSON(w, DeadChanged{
			Action: c.did(), DryRun: c.DryRun, Matched: p.Rows(), Changed: done, IDs: append([]int64{}, p.IDs()...), Groups: deadGroups(p.Groups),
		})
	}
	if p.Rows() == 0 {
		_, err := fmt.Fprintln(w, "there are no dead letters: nothing to do")
		return err
	}
	if err := writeGroups(w, p.Groups, false); err != nil {
		return err
	}
	will := "each keeps its id, deduplication key and place in its ordering key, and is sent as a new message"
	if c.Discard {
		will = "with their payloads; what waits behind them goes on"
	}
	said := fmt.Sprintf("%d of %d letters were %s: %s", done, p.Rows(), c.did(), will)
	if c.DryRun {
		said = fmt.Sprintf("dry run, nothing was changed; %d letters would be %s: %s", p.Rows(), c.did(), will)
	}
	_, err := fmt.Fprintf(w, "%s\nids: %s\n", said, ids(p.IDs()))
	return err
}
