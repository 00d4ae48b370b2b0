package rocketmq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/endpoint"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// ErrNotNameServer means that every server in the list of name servers is something else, such as a broker. Definitive.
var ErrNotNameServer = errors.New("not a name server")

// A diagnosis says in words why a name server that never answered does not, so that the first message is enough to mend it.
// Who once answered is a name server, and is not asked what it is.
type diagnoses struct {
	servers *nameServers
	mu      sync.Mutex
	answers map[string]bool // by address
	found   map[string]finding
}

// finding is what was found out about an address, and when.
type finding struct {
	at   time.Time
	what string // what listens there; "" if it cannot be told
}

const (
	diagnoseEvery = 30 * time.Second
	identifyTime  = time.Second // for each thing that is tried
)

func newDiagnoses(servers *nameServers) *diagnoses {
	return &diagnoses{servers: servers, answers: make(map[string]bool), found: make(map[string]finding)}
}

// answered notes that there is a name server at the address.
func (d *diagnoses) answered(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[address] = true
}

// explain adds to a failure what is probably wrong.
func (d *diagnoses) explain(ctx context.Context, address string, failure error) error {
	if why := whyUnreachable(failure); why != "" {
		return fmt.Errorf("name server %s: %s (%w)", address, why, failure)
	}
	d.mu.Lock()
	known, last := d.answers[address], d.found[address]
	d.mu.Unlock()
	if known || ctx.Err() != nil {
		return fmt.Errorf("name server %s: %w", address, failure)
	}
	if last.at.IsZero() || time.Since(last.at) > diagnoseEvery {
		last = finding{at: time.Now(), what: d.identify(ctx, address, failure)}
		d.mu.Lock()
		d.found[address] = last
		d.mu.Unlock()
	}
	if last.what == "" {
		return fmt.Errorf("name server %s: something listens there that does not answer as a name server does; the port is %d unless it was "+
			"told otherwise (%w)", address, endpoint.DefaultPort, failure)
	}
	return fmt.Errorf("name server %s is %w but %s; a name server's port is %d unless it was told otherwise (%s)",
		address, ErrNotNameServer, last.what, endpoint.DefaultPort, failure.Error())
}

// whyUnreachable says what to look at when no connection comes about; "" if one does.
func whyUnreachable(failure error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(failure, &dns) && dns.IsNotFound:
		return "the host name does not resolve: check its spelling, and that it is known where the relay runs"
	case errors.As(failure, &dns):
		return "the host name cannot be resolved at present"
	case errors.Is(failure, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens there: check that it runs, and the port, which is %d unless it was told otherwise", endpoint.DefaultPort)
	case errors.Is(failure, syscall.EHOSTUNREACH) || errors.Is(failure, syscall.ENETUNREACH):
		return "there is no way to it: check the address and the network"
	case errors.Is(failure, remoting.ErrUnreachable) && errors.As(failure, &timeout) && timeout.Timeout():
		return "nothing answers there: check the address, and firewalls on the way"
	default:
		return ""
	}
}

// identify finds out what listens at an address that took a connection and did not answer as a name server.
func (d *diagnoses) identify(ctx context.Context, address string, failure error) string {
	var code *CodeError
	if errors.As(failure, &code) {
		return d.identifyPeer(ctx, address, code)
	}
	for _, greeting := range []string{
		"GET / HTTP/1.0\r\n\r\n",
		"\x00\x00\x00\x08\x04\xd2\x16\x2f", // PostgreSQL's SSLRequest
	} {
		if what := recognise(greeting, said(ctx, address, greeting)); what != "" {
			return what
		}
	}
	return ""
}

// identifyPeer tells which part of RocketMQ refused: a broker does not know what name servers are asked.
func (d *diagnoses) identifyPeer(ctx context.Context, address string, refused *CodeError) string {
	if refused.Code != codeNotSupported {
		return ""
	}
	what := "a broker, or another part of RocketMQ"
	cmd, err := success(d.servers.pool.Call(ctx, address, d.servers.timeout, func(b *remoting.Batch) error {
		b.Begin(reqBrokerRuntime)
		return b.End(nil)
	}))
	if err != nil {
		return what
	}
	if root, err := parseFastjson(cmd.Body); err == nil && root.Get("table.brokerVersionDesc").String() != "" {
		what = "a broker (" + root.Get("table.brokerVersionDesc").String() + ")"
	}
	return what
}

// said returns the first bytes of what a server says to a greeting.
func said(ctx context.Context, address, greeting string) []byte {
	ctx, cancel := context.WithTimeout(ctx, identifyTime)
	defer cancel()
	nc, err := remoting.DialTCP(ctx, address)
	if err != nil {
		return nil
	}
	defer nc.Close() //nolint:errcheck // Nothing more is wanted of it.
	until, _ := ctx.Deadline()
	if nc.SetDeadline(until) != nil {
		return nil
	}
	if _, err := nc.Write([]byte(greeting)); err != nil {
		return nil
	}
	answer := make([]byte, 64)
	n := 0
	for n < 9 { // enough to recognise any of them
		m, err := nc.Read(answer[n:])
		if n += m; err != nil || n == 1 {
			break
		}
	}
	return answer[:n]
}

// recognise says what answers so. Only what people confuse with a name server is known.
func recognise(greeting string, answer []byte) string {
	const http2Settings = 4
	switch {
	case bytes.HasPrefix(answer, []byte("HTTP/")):
		return "an HTTP server"
	case greeting[0] == 'G' && len(answer) >= 9 && answer[3] == http2Settings && bytes.Equal(answer[5:9], make([]byte, 4)):
		return "a gRPC server, such as a RocketMQ proxy's port 8081; a proxy's remoting port, 8080 unless it was told otherwise, would do"
	case greeting[0] == 0 && len(answer) == 1 && (answer[0] == 'S' || answer[0] == 'N'):
		return "a PostgreSQL server"
	case bytes.HasPrefix(answer, []byte("-ERR")) || bytes.HasPrefix(answer, []byte("-DENIED")):
		return "a Redis server"
	case bytes.HasPrefix(answer, []byte("SSH-")):
		return "an SSH server"
	case len(answer) > 2 && answer[0] == 0x15 && answer[1] == 3:
		return "a server that wants TLS"
	default:
		return ""
	}
}
