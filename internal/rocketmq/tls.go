package rocketmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// TLS says how connections are encrypted. The server's certificate is always verified. The files are read again for every
// connection, so that certificates can be replaced while the relay runs.
type TLS struct {
	// CAFile holds the certificates of the authorities that may have signed the server's, in PEM. Default: those of the system.
	CAFile string
	// CertFile and KeyFile are the client's own certificate and its key, in PEM. Default: none is shown.
	CertFile, KeyFile string
	// ServerName is the name that the servers' certificates must be for. Default: the host of the address that is connected to.
	ServerName string
	// NameServers says that name servers speak TLS too.
	NameServers bool
}

// tlsDialTimeout is for a connection with its handshake: the first one of a Java process takes it half a second.
const tlsDialTimeout = 4 * time.Second

// ErrTLSFile marks a certificate or key file that cannot be used.
var ErrTLSFile = errors.New("TLS file cannot be used")

// Check reads the files.
func (t *TLS) Check() error {
	_, err := t.config("")
	return err
}

// config makes the settings of one connection.
func (t *TLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if t.CAFile != "" {
		text, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%w: tls.ca_file: %w", ErrTLSFile, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%w: tls.ca_file: %s holds no certificate in PEM", ErrTLSFile, t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		own, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("%w: tls.cert_file and tls.key_file: %w", ErrTLSFile, err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

// over makes TLS connections over those of dial.
func (t *TLS) over(dial remoting.Dialer) remoting.Dialer {
	return func(ctx context.Context, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		config, err := t.config(host)
		if err != nil {
			return nil, err
		}
		plain, err := dial(ctx, address)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(plain, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		return conn, nil
	}
}
