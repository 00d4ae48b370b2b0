package rocketmq

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// The records as Java's TraceDataEncoder writes them, field by field.
func TestTraceRecordsAreThoseOfJava(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_123)
	pub := traceRecord{
		at: at, took: 4999 * time.Microsecond, region: "cn-hangzhou", topic: "orders", tag: "paid", keys: "d-1 k\x012", msgID: "0A1B", address: "10.0.0.1:10911",
		offsetID: "AC11", bodyLength: 512, kind: traceHalf, success: true,
	}
	require.Equal(t, "Pub|1700000000123|cn-hangzhou|GID_g|orders|0A1B|paid|d-1 k 2|10.0.0.1:10911|512|4|1|AC11|true#",
		readable(pub.append(nil, "GID_g")))
	end := traceRecord{at: at, topic: "orders", keys: "d-1", msgID: "0A1B", address: "10.0.0.1:10911", end: stateRollback, fromCheck: true}
	require.Equal(t, "EndTransaction|1700000000123|DefaultRegion|GID_g|orders|0A1B||d-1|10.0.0.1:10911|2|0A1B|ROLLBACK_MESSAGE|true#",
		readable(end.append(nil, "GID_g")))
}

func readable(record []byte) string {
	return strings.NewReplacer("\x01", "|", "\x02", "#").Replace(string(record))
}

// However long and many the keys: no message is over a limit, no record is lost, and each is found by its id.
func TestTraceMessagesKeepToTheirLimits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var g traceGather
		var out []traceMessage
		n := rapid.IntRange(1, 400).Draw(t, "records")
		size := rapid.SampledFrom([]int{10, 300, 3000, 31_000}).Draw(t, "keys")
		for i := range n {
			keys := strings.Repeat("k", size) + fmt.Sprint(i) + " common"
			record := traceRecord{msgID: fmt.Sprintf("%032d", i), keys: keys}
			out = append(out, g.add("t"+fmt.Sprint(i%2), record.append(nil, "g"), record.msgID, keys)...)
		}
		out = append(out, g.take()...)
		if g.due() != nil {
			t.Fatal("nothing is left to be due")
		}
		total := 0
		for _, m := range out {
			total += m.records
			if m.records > traceRecords || len(m.keys) > traceKeys+40 || len(m.body) > traceBody+40_000 {
				t.Fatalf("%d records, %d bytes of keys, %d of body", m.records, len(m.keys), len(m.body))
			}
			if c := bytes.Count(m.body, []byte{traceRecordEnd}); c != m.records {
				t.Fatalf("%d records of %d", c, m.records)
			}
			for line := range bytes.SplitSeq(bytes.TrimSuffix(m.body, []byte{traceRecordEnd}), []byte{traceRecordEnd}) {
				id := bytes.Split(line, []byte{traceFieldEnd})[5]
				if !bytes.Contains(m.keys, append(id, ' ')) {
					t.Fatalf("%s cannot be found", id)
				}
			}
		}
		if total != n {
			t.Fatalf("%d records of %d", total, n)
		}
	})
}

// counts counts what became of records.
type counts struct{ written, dropped atomic.Int64 }

func (c *counts) add(written bool, n int) {
	if written {
		c.written.Add(int64(n))
	} else {
		c.dropped.Add(int64(n))
	}
}

// A broker that takes no traces, or does not even answer, holds up no half and no commit; what it did not take is counted.
func TestTraceHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for name, route := range map[string]func(ns, traces *fakemq.Server) fakemq.Reply{
		"no topic":  func(*fakemq.Server, *fakemq.Server) fakemq.Reply { return fakemq.Reply{Code: codeTopicNotExist} },
		"no answer": func(*fakemq.Server, *fakemq.Server) fakemq.Reply { return fakemq.Reply{Drop: true} },
		"a broker that is frozen": func(_, traces *fakemq.Server) fakemq.Reply {
			return fakemq.Reply{Body: fmt.Appendf(nil, `{"brokerDatas":[{"brokerAddrs":{0:%q},"brokerName":"b"}],"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":1,"writeQueueNums":1}]}`, traces.Address())}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns, traces, broker := fakemq.Listen(t), fakemq.Listen(t), fakemq.Listen(t)
			ns.Answer(reqRoute, route(ns, traces))
			traces.Freeze()
			broker.Answer(reqSendMessageV2, fakemq.Reply{Fields: map[string]string{"queueOffset": "1", "msgId": "7F0000010000FFFF0000000000000005"}})
			broker.Answer(reqEndTransaction, fakemq.Reply{})
			var n counts
			var log bytes.Buffer
			var mu sync.Mutex
			c, err := New(Options{
				NameServers: ns.Address(), Group: "g", Trace: TraceOptions{Enabled: true, OnRecords: n.add}, RequestTimeout: time.Second,
				Logger: slog.New(slog.NewTextHandler(writer(func(b []byte) {
					mu.Lock()
					defer mu.Unlock()
					log.Write(b)
				}), nil)),
			})
			require.NoError(t, err)
			const rounds, each = 100, 200
			for range rounds {
				halves := make([]relay.Half, each)
				stored := make([]relay.StoredHalf, each)
				for i := range halves {
					halves[i] = relay.Half{Topic: "t", UniqKey: uniqKey(), Keys: "k", Body: []byte("x")}
					stored[i] = relay.StoredHalf{Topic: "t", UniqKey: halves[i].UniqKey}
				}
				began := time.Now()
				for _, a := range c.Halves(t.Context(), broker.Address(), halves) {
					require.NoError(t, a.Err)
				}
				var answered sync.WaitGroup
				answered.Add(each)
				c.Commit(broker.Address(), stored, 5*time.Second, func(_ int, a relay.Answer) {
					require.NoError(t, a.Err)
					answered.Done()
				})
				answered.Wait()
				require.Less(t, time.Since(began), 5*time.Second)
			}
			began := time.Now()
			require.NoError(t, c.Close())
			require.Less(t, time.Since(began), 2*traceFlush+3*time.Second)
			require.Zero(t, n.written.Load())
			require.EqualValues(t, 2*rounds*each, n.dropped.Load(), "each is accounted for")
			mu.Lock()
			defer mu.Unlock()
			require.LessOrEqual(t, strings.Count(log.String(), "message traces cannot be written"), 1)
			require.Contains(t, log.String(), "message traces")
		})
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}

// With the access channel of ApsaraMQ, the topic is that of the region that the broker tells. (A scripted broker: there is no
// ApsaraMQ here.)
func TestTraceTopicOfTheCloud(t *testing.T) {
	t.Parallel()
	s := fakemq.Listen(t)
	fields := map[string]string{"queueOffset": "1", "msgId": "7F0000010000FFFF0000000000000005", "MSG_REGION": "cn-hangzhou", "TRACE_ON": "true"}
	s.Answer(reqSendMessageV2, fakemq.Reply{Fields: fields})
	s.Answer(reqEndTransaction, fakemq.Reply{})
	s.Answer(reqRoute, fakemq.Reply{Body: fmt.Appendf(nil, `{"brokerDatas":[{"brokerAddrs":{0:%q},"brokerName":"b"}],"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":1,"writeQueueNums":1}]}`, s.Address())})
	var n counts
	c, err := New(Options{
		NameServers: s.Address(), Group: "GID_g", Namespace: "MQ_INST_1_B", Logger: discard(),
		Trace: TraceOptions{Enabled: true, Cloud: true, Topic: "ignored", OnRecords: n.add},
	})
	require.NoError(t, err)
	h := relay.Half{Topic: "orders", UniqKey: uniqKey(), Keys: "d-1 k-2", Tag: "paid", Body: []byte("four")}
	require.Zero(t, c.Halves(t.Context(), s.Address(), []relay.Half{h})[0].Code)
	done := make(chan struct{})
	c.Commit(s.Address(), []relay.StoredHalf{{Topic: "orders", UniqKey: h.UniqKey}}, time.Second, func(int, relay.Answer) { close(done) })
	<-done
	off := maps.Clone(fields)
	off["TRACE_ON"] = "false" // the broker wants no trace
	s.Answer(reqSendMessageV2, fakemq.Reply{Fields: off})
	require.Zero(t, c.Halves(t.Context(), s.Address(), []relay.Half{{Topic: "orders", UniqKey: uniqKey(), Body: []byte("x")}})[0].Code)
	require.NoError(t, c.Close(), "which writes what is left")
	require.EqualValues(t, 2, n.written.Load())

	sends := s.Requests(reqSendMessageV2)
	last := sends[len(sends)-1]
	require.Equal(t, "rmq_sys_TRACE_DATA_cn-hangzhou", last.Field("b"), "in no namespace")
	require.Equal(t, traceGroup, last.Field("a"))
	require.Equal(t, "0", last.Field("f"), "an ordinary message")
	properties := readable([]byte(last.Field("i")))
	require.Contains(t, properties, "KEYS|d-1 k-2 "+h.UniqKey+"#")
	require.Contains(t, properties, "WAIT|false#")
	records := strings.Split(readable(last.Body), "#")
	require.Len(t, records, 3)
	require.Regexp(t, `^Pub\|\d{13}\|cn-hangzhou\|GID_g\|orders\|`+h.UniqKey+`\|paid\|d-1 k-2\|`+s.Address()+`\|4\|\d+\|1\|7F0000010000FFFF0000000000000005\|true$`, records[0])
	require.Regexp(t, `^EndTransaction\|\d{13}\|cn-hangzhou\|GID_g\|orders\|`+h.UniqKey+`\|paid\|d-1 k-2\|`+s.Address()+`\|2\|`+h.UniqKey+`\|COMMIT_MESSAGE\|false$`, records[1])
}

// On a real broker with traceTopicEnable, RocketMQ's own tool shows the trace; without the option there is none.
func TestTraceIsSeenByMqadmin(t *testing.T) {
	t.Parallel()
	config := stack.FastTransactions()
	config["traceTopicEnable"] = "true"
	opts := stack.Options{BrokerConfig: config}
	ns, err := stack.StartNameServer(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	broker, err := stack.StartBroker(t.Context(), ns, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Close()) })
	require.NoError(t, broker.CreateTopic(t.Context(), "orders", 1, "TRANSACTION"))
	require.NoError(t, broker.CreateTopic(t.Context(), "my-traces", 1, "NORMAL"))

	silent := traceBench(t, ns.Addr, broker.Addr, TraceOptions{})
	quiet := silent.half()
	require.Zero(t, silent.commit(silent.store(quiet)).Code)
	require.NoError(t, silent.Close())
	require.Empty(t, recordsOf(t, ns.Addr, defaultTraceTopic), "off: none")

	var n counts
	b := traceBench(t, ns.Addr, broker.Addr, TraceOptions{Enabled: true, OnRecords: n.add})
	committed, rolled, asked := b.half(), b.half(), b.half()
	require.Zero(t, b.commit(b.store(committed)).Code)
	require.Zero(t, b.rollback(b.store(rolled)).Code)
	asked.Immunity = time.Second
	b.store(asked)
	require.Eventually(t, func() bool { return n.written.Load() >= 6 }, soon, 20*time.Millisecond, "the check-back as well")
	require.NoError(t, b.Close())
	require.Zero(t, n.dropped.Load())

	records := recordsOf(t, ns.Addr, defaultTraceTopic)
	of := func(id, kind string) (found []string) {
		for _, r := range records {
			if strings.HasPrefix(r, kind+"|") && strings.Contains(r, "|"+id+"|") {
				found = append(found, r)
			}
		}
		return found
	}
	require.Len(t, of(committed.UniqKey, "Pub"), 1)
	require.Regexp(t, `\|T\|dedup-1 business-2\|`+broker.Addr+`\|2\|`+committed.UniqKey+`\|COMMIT_MESSAGE\|false$`, of(committed.UniqKey, "EndTransaction")[0])
	require.Regexp(t, `\|ROLLBACK_MESSAGE\|false$`, of(rolled.UniqKey, "EndTransaction")[0])
	require.Regexp(t, `\|T\|dedup-1 business-2\|`+broker.Addr+`\|2\|`+asked.UniqKey+`\|ROLLBACK_MESSAGE\|true$`, of(asked.UniqKey, "EndTransaction")[0])

	shown, err := stack.Admin(t.Context(), ns.Addr, opts, "queryMsgTraceById", "-n", ns.Addr, "-i", committed.UniqKey)
	require.NoError(t, err)
	t.Log(shown[strings.Index(shown, "#"):])
	require.Contains(t, shown, "Pub")
	require.Contains(t, shown, b.group)
	require.Contains(t, shown, "success")
	id := strings.Split(of(committed.UniqKey, "Pub")[0], "|")[12]
	query := []string{"queryMsgById", "-n", ns.Addr, "-i", id}
	if stack.ACL2.Missing(stack.RocketMQVersion()) == "" { // mqadmin asks for the topic since that version too
		query = append(query, "-t", "orders")
	}
	shown, err = stack.Admin(t.Context(), ns.Addr, opts, query...)
	require.NoError(t, err)
	require.Contains(t, shown, committed.UniqKey, "the offset id leads to the message")

	var own counts
	other := traceBench(t, ns.Addr, broker.Addr, TraceOptions{Enabled: true, Topic: "my-traces", OnRecords: own.add})
	h := other.half()
	require.Zero(t, other.commit(other.store(h)).Code)
	require.NoError(t, other.Close())
	require.EqualValues(t, 2, own.written.Load(), "what waits is written at the end")
	shown, err = stack.Admin(t.Context(), ns.Addr, opts, "queryMsgTraceById", "-n", ns.Addr, "-i", h.UniqKey, "-t", "my-traces")
	require.NoError(t, err)
	require.Contains(t, shown, "success")
}

func traceBench(t *testing.T, nameServer, broker string, o TraceOptions) *bench {
	t.Helper()
	b := &bench{t: t, topic: "orders", address: broker, group: "GID_" + uniqKey()[:8]}
	var err error
	b.Client, err = New(Options{
		NameServers: nameServer, Group: b.group, Logger: discard(), Trace: o,
		Check: func(txcheck.Half) txcheck.Answer { return txcheck.Rollback },
	})
	require.NoError(t, err)
	require.NoError(t, b.Bind(t.Context(), []string{b.topic}))
	return b
}

// recordsOf reads the trace topic itself.
func recordsOf(t *testing.T, nameServer, topic string) (records []string) {
	t.Helper()
	messages, err := stack.ReadTopic(t.Context(), nameServer, topic)
	require.NoError(t, err)
	for _, m := range messages {
		for r := range strings.SplitSeq(strings.TrimSuffix(readable(m.Body), "#"), "#") {
			records = append(records, r)
		}
	}
	return records
}
