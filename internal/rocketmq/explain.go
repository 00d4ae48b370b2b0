package rocketmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// explain adds to an error of a connection what has to be changed, as ErrAccess, where that is certain. Otherwise it returns
// err. overTLS says how the connection was meant to be.
func (c *Client) explain(ctx context.Context, address string, overTLS bool, err error) error {
	return c.options.explain(ctx, address, overTLS, err)
}

func (o *Options) explain(ctx context.Context, address string, overTLS bool, err error) error {
	mend := ""
	switch {
	case overTLS:
		mend = o.whyNoTLS(ctx, address, err)
	case hungUp(err) && o.speaksTLS(ctx, address):
		mend = "it ends plain connections and speaks TLS: set tls.enabled"
		if o.TLS != nil {
			mend = "it ends plain connections and speaks TLS: set tls.nameservers"
		}
	}
	if mend == "" {
		return err
	}
	return fmt.Errorf("%w: %s: %s (%w)", ErrAccess, address, mend, err)
}

// whyNoTLS says what to change where a TLS connection failed; "" if that is not certain.
func (o *Options) whyNoTLS(ctx context.Context, address string, err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var remote *net.OpError
	switch {
	case errors.Is(err, ErrTLSFile):
		return "mend the file"
	case errors.As(err, &unknown):
		return "its certificate is signed by none of the authorities that we trust: set tls.ca_file to a file with the certificate of the one that signed it"
	case errors.As(err, &name) && len(namesOf(name.Certificate)) == 0:
		return "its certificate is for no name at all, as the one that RocketMQ makes for itself if it is given none: give the server a certificate for " +
			name.Host + " (-Dtls.test.mode.enable=false, tls.server.certPath, tls.server.keyPath)"
	case errors.As(err, &name):
		return fmt.Sprintf("its certificate is for %s and not for %s: set tls.server_name to one of its names, or name the server as its certificate does",
			strings.Join(namesOf(name.Certificate), ", "), name.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("its certificate is valid from %s to %s: renew it, or correct the clock of this machine",
			invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &verification):
		return "its certificate cannot be verified: renew it"
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert
		if o.TLS.CertFile == "" {
			return "it wants a client certificate: set tls.cert_file and tls.key_file"
		}
		return "it does not accept the client certificate of tls.cert_file: one that is signed by an authority that it trusts is needed"
	case errors.As(err, &record), hungUp(err) && o.speaksPlain(ctx, address):
		return "it does not speak TLS: start it with -Dtls.server.mode=enforcing or permissive, or turn off tls.enabled (for name servers: tls.nameservers)"
	}
	return ""
}

// namesOf are the names and addresses that a certificate is for.
func namesOf(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// hungUp reports whether the peer ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func (o *Options) dialPlain(ctx context.Context, address string) (net.Conn, error) {
	if o.Dial != nil {
		return o.Dial(ctx, address)
	}
	return remoting.DialTCP(ctx, address)
}

// speaksTLS looks whether a server that ends plain connections answers a TLS handshake. Whether it is to be trusted is not
// asked: it is told nothing.
func (o *Options) speaksTLS(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, tlsDialTimeout)
	defer cancel()
	plain, err := o.dialPlain(ctx, address)
	if err != nil {
		return false
	}
	defer plain.Close() //nolint:errcheck // It has served its purpose.
	host, _, _ := net.SplitHostPort(address)
	err = tls.Client(plain, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}).HandshakeContext(ctx)
	var verification *tls.CertificateVerificationError
	var remote *net.OpError
	return err == nil || errors.As(err, &verification) || errors.As(err, &remote) && remote.Op == "remote error"
}

// speaksPlain looks whether a server that ends TLS connections answers a plain request, which is not signed.
func (o *Options) speaksPlain(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, o.RequestTimeout)
	defer cancel()
	plain, err := o.dialPlain(ctx, address)
	if err != nil {
		return false
	}
	defer plain.Close() //nolint:errcheck // It has served its purpose.
	if deadline, ok := ctx.Deadline(); ok {
		_ = plain.SetDeadline(deadline)
	}
	var e remoting.Encoder
	e.Begin(reqRoute, 0, 1, "")
	e.String("topic", "TBW102")
	if err := e.End(nil); err != nil {
		return false
	}
	if _, err := plain.Write(e.Bytes()); err != nil {
		return false
	}
	_, err = remoting.NewFrameReader(plain).Next()
	return err == nil
}
