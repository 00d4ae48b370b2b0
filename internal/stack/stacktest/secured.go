package stacktest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// Secured are a name server and a broker that speak TLS only and let nobody in without credentials.
type Secured struct {
	Authority  *stack.Authority
	NameServer *stack.NameServer
	Broker     *stack.Broker
	// Admin carries the way in of the super user.
	Admin context.Context //nolint:containedctx // That is what it is for.
	// AccessKey and SecretKey are the super user's.
	AccessKey, SecretKey string
}

// StartSecured starts them; they end with the test.
func StartSecured(t testing.TB) *Secured {
	t.Helper()
	s := &Secured{AccessKey: "admin", SecretKey: "12345678"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.Authority, err = stack.NewAuthority(t.TempDir(), "authority")
	must(err)
	cert, key, err := s.Authority.Issue("server", time.Hour, "127.0.0.1")
	must(err)
	trusted := x509.NewCertPool()
	text, err := os.ReadFile(s.Authority.File)
	must(err)
	trusted.AppendCertsFromPEM(text)
	access := stack.Access{TLS: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, AccessKey: s.AccessKey, SecretKey: s.SecretKey}
	properties := stack.ServerTLS(cert, key, "")
	maps.Copy(properties, stack.ClientTLS("", ""))
	o := Options()
	o.Engine, o.Secure = stack.EngineNative, &stack.Secure{TLS: properties, ACL: true, Access: access}
	s.Admin = stack.WithAccess(context.Background(), access)
	s.NameServer, err = stack.StartNameServer(t.Context(), o)
	must(err)
	t.Cleanup(func() { must(s.NameServer.Close()) })
	s.Broker, err = stack.StartBroker(t.Context(), s.NameServer, o)
	must(err)
	t.Cleanup(func() { must(s.Broker.Close()) })
	return s
}
