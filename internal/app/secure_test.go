package app

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// A fortress is a cluster that speaks nothing but TLS and asks its clients who they are, with a user who has the rights that
// docs/connecting.md grants and no other.
type fortress struct {
	*world
	authority   *stack.Authority
	broker      *stack.Broker
	admin       context.Context //nolint:containedctx // It carries the super user's way in.
	key, secret string          // files
	secretIs    string
	settings    []string
}

func newFortress(t *testing.T) *fortress {
	t.Helper()
	dir := t.TempDir()
	secured := stacktest.StartSecured(t)
	f := &fortress{
		key: filepath.Join(dir, "access_key"), secret: filepath.Join(dir, "secret_key"),
		authority: secured.Authority, broker: secured.Broker, admin: secured.Admin,
	}
	servers := stacktest.Shared(t)
	f.world = &world{t: t, url: servers.Database(t), nameServer: secured.NameServer.Addr, topic: "fortress-orders", group: "fortress-relays"}
	_, err := migrations.Up(t.Context(), f.url, "public")
	require.NoError(t, err)
	f.db() // is open for all parts of the test
	require.NoError(t, f.broker.CreateTopic(f.admin, f.topic, 2, "TRANSACTION"))
	f.setSecret("hunter2-first")
	f.write(f.key, "relay")
	f.write(f.secret, f.secretIs)
	for resource, actions := range map[string][]string{
		"Topic:" + f.topic: {"Pub", "Sub", "Get"}, "Topic:RMQ_SYS_TRANS_HALF_TOPIC": {"Get"}, "Group:TOOLS_CONSUMER": {"Sub"},
	} {
		require.NoError(t, f.broker.Grant(f.admin, "relay", resource, actions...))
	}
	f.settings = []string{
		fmt.Sprintf("credentials: {access_key_file: %q, secret_key_file: %q}", f.key, f.secret),
		fmt.Sprintf("tls: {enabled: true, ca_file: %q}", f.authority.File), "window: 4s", "send_timeout: 2s", "commit_timeout: 1s", "append_margin: 1s",
	}
	return f
}

func (f *fortress) setSecret(secret string) {
	f.t.Helper()
	require.NoError(f.t, f.broker.SetUser(f.admin, "relay", secret))
	f.secretIs = secret
}

func (f *fortress) write(file, text string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(file+".next", []byte(text+"\n"), 0o600))
	require.NoError(f.t, os.Rename(file+".next", file))
}

// arrived are the messages on the topic, as the super user reads them.
func (f *fortress) arrived() int {
	f.t.Helper()
	messages, err := f.broker.ReadTopic(f.admin, f.topic)
	require.NoError(f.t, err)
	return len(messages)
}

func TestFortress(t *testing.T) {
	t.Parallel()
	f := newFortress(t)
	t.Run("a doubt is decided", func(t *testing.T) { testFortressDoubt(t, f) })
	t.Run("plain topics", func(t *testing.T) { testFortressPlainTopics(t, f) })
	t.Run("credentials are replaced", func(t *testing.T) { testFortressRotation(t, f) })
	t.Run("commands", func(t *testing.T) { testFortressCommands(t, f) })
	t.Run("refusals end the start", func(t *testing.T) { testFortressRefusals(t, f) })
}

// A relay is frozen after its commits and before it has settled; the next one reads the topic back. All over TLS, with the
// smallest set of rights.
func testFortressDoubt(t *testing.T, f *fortress) {
	f.t = t
	frozen, thaw := make(chan struct{}), make(chan struct{})
	first := start(t, f.config(append(f.settings, "instance: one")...), func(p *Process) {
		var once atomic.Bool
		p.At = func(at relay.Point) {
			if at == relay.PointCommit && once.CompareAndSwap(false, true) {
				close(frozen)
				<-thaw
			}
		}
	})
	defer close(thaw)
	first.eventually("ready", first.ready)
	f.insert(7)
	select {
	case <-frozen:
	case <-time.After(patience):
		t.Fatal("nothing was committed")
	}
	var resolved atomic.Int32
	second := start(t, f.config(append(f.settings, "instance: one")...), func(p *Process) {
		p.At = func(at relay.Point) {
			if at == relay.PointResolveClose {
				resolved.Add(1)
			}
		}
	})
	second.eventually("decided", func() bool { return f.count("outbox") == 0 })
	require.Positive(t, resolved.Load(), "by reading")
	require.Equal(t, 7, f.arrived(), "each once")
	f.insert(5)
	second.eventually("published", func() bool { return f.count("outbox") == 0 })
	require.Equal(t, 12, f.arrived())
	require.NoError(t, second.end())
}

// The user's secret is changed on the broker and then in the file, and later user and secret: the relay goes on without a restart.
func testFortressRotation(t *testing.T, f *fortress) {
	f.t = t
	p := start(t, f.config(f.settings...))
	p.eventually("ready", p.ready)
	before := f.arrived()

	f.setSecret("hunter2-second")
	f.insert(3)
	p.eventually("refused", func() bool { return len(p.log.with(`"msg":"paused"`, "answered 16: check signature failed")) > 0 })
	f.write(f.secret, f.secretIs)
	p.eventually("published", func() bool { return f.count("outbox") == 0 })
	require.Len(t, p.log.with(`"msg":"credentials were replaced"`, `"access_key":"relay"`), 1)

	require.NoError(t, f.broker.SetUser(f.admin, "relay-b", "hunter2-third"))
	for resource, actions := range map[string][]string{
		"Topic:" + f.topic: {"Pub", "Sub", "Get"}, "Topic:RMQ_SYS_TRANS_HALF_TOPIC": {"Get"}, "Group:TOOLS_CONSUMER": {"Sub"},
	} {
		require.NoError(t, f.broker.Grant(f.admin, "relay-b", resource, actions...))
	}
	f.write(f.key, "relay-b")
	f.write(f.secret, "hunter2-third")
	p.eventually("replaced", func() bool { return len(p.log.with("credentials were replaced", "relay-b")) > 0 })
	f.insert(3)
	p.eventually("published", func() bool { return f.count("outbox") == 0 })

	require.NoError(t, os.Remove(f.secret))
	p.eventually("warned", func() bool {
		return len(p.log.with("credentials cannot be read again", "credentials.secret_key_file")) == 1
	})
	f.insert(3)
	p.eventually("published", func() bool { return f.count("outbox") == 0 })
	require.Equal(t, before+9, f.arrived(), "each once")
	require.NoError(t, p.end())
	require.NotContains(t, p.log.String(), "hunter2")
	f.write(f.key, "relay")
	f.write(f.secret, f.secretIs)
}

// Batches and single messages that are sent plainly are signed like halves.
func testFortressPlainTopics(t *testing.T, f *fortress) {
	f.t = t
	topics := map[string]string{"fortress-notes": "NORMAL", "fortress-ledger": "FIFO", "fortress-later": "DELAY"}
	bound := []string{}
	for topic, kind := range topics {
		require.NoError(t, f.broker.CreateTopic(f.admin, topic, 1, kind))
		require.NoError(t, f.broker.Grant(f.admin, "relay", "Topic:"+topic, "Pub", "Sub", "Get"))
		bound = append(bound, fmt.Sprintf("%s:%s", topic, strings.ToLower(kind)))
	}
	settings := append(slices.Clone(f.settings), fmt.Sprintf("topics: [%s]", strings.Join(bound, ", ")))
	require.ErrorContains(t, ends(t, f.world, settings...), "does not allow the user relay Get on Topic:rmq_sys_wheel_timer (to see where delayed messages are kept), "+
		"Sub on Topic:rmq_sys_wheel_timer (to read back what became of a delayed message)")
	require.NoError(t, f.broker.Grant(f.admin, "relay", "Topic:rmq_sys_wheel_timer", "Get", "Sub"))
	p := start(t, f.config(settings...))
	p.eventually("ready", p.ready)
	f.exec(`INSERT INTO outbox (topic, ordering_key, deliver_at, payload) SELECT topic, CASE WHEN topic = 'fortress-ledger' THEN 'k' END,
			CASE WHEN topic = 'fortress-later' THEN now() + interval '1 second' END, 'x'
		  FROM unnest($1::text[]) topic, generate_series(1, 40)`, slices.Collect(maps.Keys(topics)))
	p.eventually("published", func() bool { return f.count("outbox") == 0 })
	for topic := range topics {
		p.eventually("arrived", func() bool {
			messages, err := f.broker.ReadTopic(f.admin, topic)
			require.NoError(t, err)
			return len(messages) == 40
		})
	}
	require.NoError(t, p.end())
}

func testFortressCommands(t *testing.T, f *fortress) {
	f.t = t
	var out bytes.Buffer
	require.NoError(t, ShowQueues(t.Context(), f.config(f.settings...), "", &out))
	require.Contains(t, out.String(), "there")
	out.Reset()
	require.NoError(t, ListOpen(t.Context(), f.config(f.settings...), Selection{}, true, false, &out))
}

func testFortressRefusals(t *testing.T, f *fortress) {
	f.t = t
	for name, test := range map[string]struct {
		settings []string
		want     string
	}{
		"wrong secret":    {[]string{"credentials: {access_key: relay, secret_key: wrong}"}, "does not accept credentials.secret_key of the user relay"},
		"unknown user":    {[]string{"credentials: {access_key: nobody, secret_key: wrong}"}, "does not know the user nobody"},
		"no credentials":  {[]string{"credentials: {}"}, "asks for credentials: set credentials.access_key and credentials.secret_key"},
		"not so much":     {[]string{"credentials: {access_key: reader, secret_key: hunter2}"}, "does not allow the user reader Pub on Topic:fortress-orders (to send and commit)"},
		"plain":           {[]string{"tls: {}"}, "it ends plain connections and speaks TLS: set tls.enabled"},
		"other authority": {[]string{"tls: {enabled: true}"}, "set tls.ca_file"},
	} {
		require.NoError(t, f.broker.SetUser(f.admin, "reader", "hunter2"))
		for resource, actions := range map[string][]string{
			"Topic:" + f.topic: {"Sub", "Get"}, "Topic:RMQ_SYS_TRANS_HALF_TOPIC": {"Get"}, "Group:TOOLS_CONSUMER": {"Sub"},
		} {
			require.NoError(t, f.broker.Grant(f.admin, "reader", resource, actions...))
		}
		err := ends(t, f.world, append(f.settings, test.settings...)...)
		require.ErrorContains(t, err, test.want, name)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
