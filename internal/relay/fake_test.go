package relay

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"
)

// errPostgres is any error of the store.
var errPostgres = errors.New("connection to Postgres lost")

// fakeStore is a store whose answers a test chooses. What it does not choose goes well and finds nothing.
type fakeStore struct {
	origin   func() (uuid.UUID, error)
	bind     func(Topic) (Topic, error)
	open     func(context.Context, Session) error
	renew    func(context.Context) error
	standing func() (Standing, error)
	give     func(shards uint64) error
	leave    func(context.Context) error
	take     func(want uint64) (owned uint64, err error)
	attempts func(shards uint64) ([]OpenAttempt, error)
	blocked  func(shards uint64) ([]BlockedKey, error)
	there    func(rows []int64) ([]int64, error)
	states   func(attempts []AttemptID) (EntryStates, error)
	fresh    func(FreshQuery) ([]Row, error)
	due      func(DueQuery) ([]Row, error)
	decided  func() (Decided, error)
	missed   func(FreshQuery) bool
	write    func([]Closing, []*Attempt) (Written, error)
	purge    func(limit int) (int, error)
	putOff   func([]Failure) error
	bury     func([]Failure) error
	backlog  func() (Backlog, error)

	mu      sync.Mutex
	free    uint64 // shards that nobody holds
	owned   uint64 // shards that the session has taken
	fences  map[AttemptID]string
	calls   []string
	closed  []Closing  // written
	entered []*Attempt // written
	off     []Failure  // written
	dead    []Failure  // written
	writer  uuid.UUID  // the session of the last write
}

// note remembers a call by name.
func (f *fakeStore) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

func (f *fakeStore) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *fakeStore) count(call string) (n int) {
	for _, c := range f.called() {
		if c == call {
			n++
		}
	}
	return n
}

func (f *fakeStore) closings() []Closing {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.closed)
}

func (f *fakeStore) Origin(context.Context) (uuid.UUID, error) {
	f.note("Origin")
	if f.origin != nil {
		return f.origin()
	}
	return uuid.UUID{1}, nil
}

func (f *fakeStore) BindTopic(_ context.Context, want Topic) (Topic, error) {
	f.note("BindTopic")
	if f.bind != nil {
		return f.bind(want)
	}
	return want, nil
}

func (f *fakeStore) OpenSession(ctx context.Context, s Session, _ time.Duration) error {
	f.note("OpenSession")
	f.mu.Lock()
	f.owned = 0
	f.mu.Unlock()
	if f.open != nil {
		return f.open(ctx, s)
	}
	return nil
}

func (f *fakeStore) RenewSession(ctx context.Context, _ uuid.UUID, _ time.Duration) error {
	f.note("RenewSession")
	if f.renew != nil {
		return f.renew(ctx)
	}
	return nil
}

func (f *fakeStore) Standing(context.Context, uuid.UUID) (Standing, error) {
	f.note("Standing")
	if f.standing != nil {
		return f.standing()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return Standing{Owned: f.owned, Free: f.free &^ f.owned}, nil
}

func (f *fakeStore) GiveShards(_ context.Context, _ uuid.UUID, shards uint64) error {
	f.note("GiveShards")
	if f.give != nil {
		return f.give(shards)
	}
	return nil
}

func (f *fakeStore) CloseSession(ctx context.Context, _ uuid.UUID) error {
	f.note("CloseSession")
	if f.leave != nil {
		return f.leave(ctx)
	}
	return nil
}

func (f *fakeStore) TakeShards(_ context.Context, _ uuid.UUID, want uint64) (uint64, error) {
	f.note("TakeShards")
	if f.take != nil {
		return f.take(want)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owned |= want
	return f.owned, nil
}

func (f *fakeStore) OpenAttempts(_ context.Context, shards uint64) ([]OpenAttempt, error) {
	f.note("OpenAttempts")
	if f.attempts != nil {
		return f.attempts(shards)
	}
	return nil, nil
}

func (f *fakeStore) BlockedKeys(_ context.Context, shards uint64) ([]BlockedKey, error) {
	f.note("BlockedKeys")
	if f.blocked != nil {
		return f.blocked(shards)
	}
	return nil, nil
}

func (f *fakeStore) StillThere(_ context.Context, rows []int64) ([]int64, error) {
	f.note("StillThere")
	if f.there != nil {
		return f.there(rows)
	}
	return rows, nil
}

func (f *fakeStore) ReadFresh(_ context.Context, q FreshQuery) (rows []Row, complete bool, err error) {
	f.note("ReadFresh")
	if f.fresh != nil {
		rows, err = f.fresh(q)
	}
	return rows, f.missed == nil || !f.missed(q), err
}

func (f *fakeStore) ReadDue(_ context.Context, q DueQuery) ([]Row, error) {
	f.note("ReadDue")
	if f.due != nil {
		return f.due(q)
	}
	return nil, nil
}

func (f *fakeStore) Decided(context.Context) (Decided, error) {
	f.note("Decided")
	if f.decided != nil {
		return f.decided()
	}
	return Decided{}, nil
}

func (f *fakeStore) Write(_ context.Context, session uuid.UUID, closings []Closing, decisions []*Attempt) (Written, error) {
	f.note("Write")
	w := Written{Closed: make([]Closed, len(closings)), Decided: slices.Repeat([]Decision{DecisionMade}, len(decisions))}
	if f.write != nil {
		var err error
		if w, err = f.write(closings, decisions); err != nil {
			return w, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writer = session
	f.closed = append(f.closed, closings...)
	for i, a := range decisions {
		if w.Decided[i] == DecisionMade {
			f.entered = append(f.entered, a)
		}
	}
	return w, nil
}

func (f *fakeStore) NoteFence(_ context.Context, attempts []AttemptID, address string) error {
	f.note("NoteFence")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fences == nil {
		f.fences = make(map[AttemptID]string)
	}
	for _, a := range attempts {
		f.fences[a] = address
	}
	return nil
}

// fence returns who refuses an attempt, as noted.
func (f *fakeStore) fence(attempt AttemptID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fences[attempt]
}

func (f *fakeStore) EntryStates(_ context.Context, attempts []AttemptID) (EntryStates, error) {
	f.note("EntryStates")
	if f.states != nil {
		return f.states(attempts)
	}
	states := EntryStates{}
	for _, id := range attempts {
		states[id] = slices.Repeat([]EntryState{EntryOpen}, 64)
	}
	return states, nil
}

func (f *fakeStore) Purge(_ context.Context, _ time.Duration, limit int) (int, error) {
	f.note("Purge")
	if f.purge != nil {
		return f.purge(limit)
	}
	return 0, nil
}

func (f *fakeStore) PutOff(_ context.Context, _ uuid.UUID, failures []Failure) error {
	f.note("PutOff")
	if f.putOff != nil {
		if err := f.putOff(failures); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = append(f.off, failures...)
	return nil
}

func (f *fakeStore) Bury(_ context.Context, _ uuid.UUID, failures []Failure) error {
	f.note("Bury")
	if f.bury != nil {
		if err := f.bury(failures); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = append(f.dead, failures...)
	return nil
}

func (f *fakeStore) Backlog(context.Context, int, []string) (Backlog, error) {
	f.note("Backlog")
	if f.backlog != nil {
		return f.backlog()
	}
	return Backlog{}, nil
}

// A sentCommit is a commit that waits for the answer a test gives it. The log offset of a stored half is its row's id.
type sentCommit struct {
	row    int64
	answer func(Answer)
}

// fakeBroker is a broker whose answers a test chooses. What it does not choose goes well and finds nothing; commits wait for
// the test.
type fakeBroker struct {
	queues     func(topic string) []Queue
	routed     func(topic string) []Queue
	address    func(broker string) (string, bool)
	halves     func([]Half) []HalfAnswer
	maxOffsets func(queues []TopicQueue) ([]int64, error)
	rollback   func([]StoredHalf) []Answer
	lookup     func(topic, uniqKey string) (bool, error)
	readBack   func(q TopicQueue, from int64, found func(string)) (ReadProof, error)
	dispatched func(halfOffset int64) (bool, error)
	storedAt   func(StoredHalf) (time.Time, error)
	send       func(messages []Half) Answer // answers at once; nil: sends wait in the channel
	delays     Delays
	sends      chan sentRequest

	commit  func(row int64) Answer // answers at once; nil: commits wait in the channel
	commits chan sentCommit

	mu        sync.Mutex
	sent      []Half
	forgotten []StoredHalf
}

// A sentRequest is a plain send that waits for the answer a test gives it.
type sentRequest struct {
	messages []Half
	oneway   bool
	answer   func(Answer)
}

func newFakeBroker() *fakeBroker {
	return &fakeBroker{commits: make(chan sentCommit, 1024), sends: make(chan sentRequest, 1024), delays: Delays{Timer: true, Most: 72 * time.Hour}}
}

func (f *fakeBroker) Send(_ string, requests [][]Half, answered func(int, Answer)) {
	f.sendAll(requests, false, answered)
}

func (f *fakeBroker) Oneway(_ string, requests [][]Half, answered func(int, Answer)) {
	f.sendAll(requests, true, answered)
}

func (f *fakeBroker) sendAll(requests [][]Half, oneway bool, answered func(int, Answer)) {
	for i, messages := range requests {
		if f.send != nil {
			answered(i, f.send(messages))
			continue
		}
		f.sends <- sentRequest{messages: messages, oneway: oneway, answer: func(a Answer) { answered(i, a) }}
	}
}

func (f *fakeBroker) Delays(context.Context, string) (Delays, error) { return f.delays, nil }

func (f *fakeBroker) Queues(topic string) []Queue {
	if f.queues != nil {
		return f.queues(topic)
	}
	return []Queue{{Broker: "b"}}
}

func (f *fakeBroker) Routed(topic string) []Queue {
	if f.routed != nil {
		return f.routed(topic)
	}
	return f.Queues(topic)
}

func (f *fakeBroker) Address(broker string) (string, bool) {
	if f.address != nil {
		return f.address(broker)
	}
	return broker + ":10911", true
}

func (f *fakeBroker) Halves(_ context.Context, _ string, halves []Half) []HalfAnswer {
	f.mu.Lock()
	f.sent = append(f.sent, halves...)
	f.mu.Unlock()
	if f.halves != nil {
		return f.halves(halves)
	}
	answers := make([]HalfAnswer, len(halves))
	for i := range answers {
		answers[i].Stored = true
	}
	return answers
}

func (f *fakeBroker) MaxOffsets(_ context.Context, _ string, queues []TopicQueue) ([]int64, error) {
	if f.maxOffsets != nil {
		return f.maxOffsets(queues)
	}
	return make([]int64, len(queues)), nil
}

func (f *fakeBroker) Commit(_ string, halves []StoredHalf, _ time.Duration, answered func(int, Answer)) {
	for i, h := range halves {
		if f.commit != nil {
			answered(i, f.commit(h.LogOffset))
			continue
		}
		f.commits <- sentCommit{row: h.LogOffset, answer: func(a Answer) { answered(i, a) }}
	}
}

func (f *fakeBroker) Rollback(_ context.Context, _ string, halves []StoredHalf) []Answer {
	if f.rollback != nil {
		return f.rollback(halves)
	}
	return slices.Repeat([]Answer{{Code: codeIllegalOperation}}, len(halves))
}

func (f *fakeBroker) Forget(_ string, halves []StoredHalf) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgotten = append(f.forgotten, halves...)
}

// forgot returns the rows whose halves were rolled back unasked.
func (f *fakeBroker) forgot() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rows []int64
	for _, h := range f.forgotten {
		rows = append(rows, h.LogOffset)
	}
	slices.Sort(rows)
	return rows
}

func (f *fakeBroker) Lookup(_ context.Context, _, topic, uniqKey string) (bool, error) {
	if f.lookup != nil {
		return f.lookup(topic, uniqKey)
	}
	return false, nil
}

func (f *fakeBroker) ReadBack(_ context.Context, _ string, q TopicQueue, from int64, found func(string)) (ReadProof, error) {
	if f.readBack != nil {
		return f.readBack(q, from, found)
	}
	return ReadProof{Complete: true}, nil
}

func (f *fakeBroker) Dispatched(_ context.Context, _ string, halfOffset int64) (bool, error) {
	if f.dispatched != nil {
		return f.dispatched(halfOffset)
	}
	return true, nil
}

// StoredAt answers by the clock of this machine.
func (f *fakeBroker) StoredAt(_ context.Context, _ string, half StoredHalf) (time.Time, error) {
	if f.storedAt != nil {
		return f.storedAt(half)
	}
	return time.Now(), nil
}

// logbook keeps what is logged, one line a record: the message and its attributes.
type logbook struct {
	mu    *sync.Mutex
	lines *[]string
}

func newLogbook() logbook { return logbook{mu: new(sync.Mutex), lines: new([]string)} }

func (l logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l logbook) WithGroup(string) slog.Handler            { return l }

func (l logbook) Handle(_ context.Context, r slog.Record) error {
	var line strings.Builder
	line.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		line.WriteString(" " + a.String())
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.lines = append(*l.lines, line.String())
	return nil
}

// with returns the lines that contain text.
func (l logbook) with(text string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range *l.lines {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// bench is a session on a fake store and a fake broker, with topics "t" (a dead row blocks its key) and "u" (it does not),
// without the goroutines of a live session except the ledger's.
type bench struct {
	*session
	db   *fakeStore
	mq   *fakeBroker
	logs logbook
	stop context.CancelFunc // ends the session and waits for the goroutines
}

// newRelay makes a relay on fakes, with settings that leave nothing to chance.
func newRelay(t testing.TB, change ...func(*Config)) (*Relay, *fakeStore, *fakeBroker, logbook) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Instance = "one"
	cfg.Retry.Jitter = 0
	for _, name := range []string{"t", "u"} {
		onDead := OnDeadBlock
		if name == "u" {
			onDead = OnDeadSkip
		}
		cfg.Topics = append(cfg.Topics, Topic{Name: name, Type: TypeTransaction, Delivery: ExactlyOnce, OnDead: onDead, Queues: []Queue{{Broker: "b"}}})
	}
	for _, c := range change {
		c(&cfg)
	}
	metrics, err := NewMetrics(noop.Meter{})
	require.NoError(t, err)
	db, mq, logs := &fakeStore{}, newFakeBroker(), newLogbook()
	r, err := New(cfg, Options{Store: db, Broker: mq, Log: slog.New(logs), Metrics: metrics, Progress: func() {}})
	require.NoError(t, err)
	return r, db, mq, logs
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	r, db, mq, logs := newRelay(t, change...)
	r.origin = uuid.UUID{1}.String()
	for _, topic := range r.cfg.Topics {
		topic.Queues = []Queue{{"b", 0}}
		r.topics[topic.Name] = topic
	}
	s := r.newSession(context.Background())
	s.intake.own(1, nil, nil)
	read(s.intake)
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.ledger.run(s.work); err != nil {
			s.end(err)
		}
	})
	stop := func() {
		s.end(nil)
		running.Wait()
		_ = s.resolver.run(s.work)
		s.batches.Wait()
	}
	t.Cleanup(stop)
	return &bench{session: s, db: db, mq: mq, logs: logs, stop: stop}
}

// plain is an unordered row of topic "t".
func plain(id int64) *Row { return &Row{ID: id, Topic: "t", Payload: []byte("x")} }

// ordered is a row of topic "t" with an ordering key.
func ordered(id int64, key string) *Row {
	return &Row{ID: id, Topic: "t", OrderingKey: key, Payload: []byte("x")}
}

// of is a row moved to another topic.
func of(topic string, row *Row) *Row {
	row.Topic = topic
	return row
}

// taken is a batch of rows that the reader has taken in.
func (b *bench) taken(rows ...*Row) *batch {
	key := batchKey{broker: "b", way: WayHalf, exact: true}
	if len(rows) > 0 {
		topic := b.topics[rows[0].Topic]
		key.way, key.exact = topic.Way(), topic.Exact()
	}
	made := newBatch(b.session, key)
	for _, row := range rows {
		b.intake.take(made.add(row, Queue{Broker: "b"}))
	}
	return made
}

// built is a batch whose halves are ready to be sent.
func (b *bench) built(t *testing.T, rows ...*Row) *batch {
	t.Helper()
	made := b.taken(rows...)
	require.True(t, made.build())
	require.True(t, made.locate())
	return made
}

// stored is a batch whose halves are all stored.
func (b *bench) stored(t *testing.T, rows ...*Row) *batch {
	t.Helper()
	made := b.built(t, rows...)
	made.sort(storedAnswers(made))
	require.Len(t, made.items, len(rows))
	return made
}

// made is a batch that is decided.
func (b *bench) made(t *testing.T, rows ...*Row) *batch {
	t.Helper()
	made := b.stored(t, rows...)
	require.True(t, made.decide())
	return made
}

// storedAt is the answer that the half of a row is stored, with a code that says how well.
func storedAt(row int64, code int) HalfAnswer {
	return HalfAnswer{Answer: Answer{Code: code}, Stored: true, HalfOffset: 1000 + row, LogOffset: row}
}

func storedAnswers(b *batch) []HalfAnswer {
	answers := make([]HalfAnswer, len(b.items))
	for i, it := range b.items {
		answers[i] = storedAt(it.row.ID, codeOK)
	}
	return answers
}

// ids lists the rows of items.
func ids(items []*item) []int64 {
	rows := []int64{}
	for _, it := range items {
		rows = append(rows, it.row.ID)
	}
	return rows
}

// again reports which of the rows a fresh read may show now: the cursor is before them and they are not left out.
func (b *bench) again(rows ...int64) []int64 {
	after, exclude := read(b.intake)
	shown := []int64{}
	for _, id := range rows {
		if id > after && !slices.Contains(exclude, id) {
			shown = append(shown, id)
		}
	}
	return shown
}

// paused lists what is paused at broker b.
func (b *bench) paused() []string {
	topics := []string{}
	for _, key := range b.pauses.keys() {
		topics = append(topics, key.topic)
	}
	slices.Sort(topics)
	return topics
}

// carriedNow lists what has been carried to the next session.
func (b *bench) carriedNow() []Closing {
	b.carriedMu.Lock()
	defer b.carriedMu.Unlock()
	return slices.Clone(b.carried)
}
