package stack

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // It is what the protocol asks for.
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
)

// Secure makes name servers and brokers that let nobody in who is not invited.
type Secure struct {
	// TLS are Java's properties of the server's side, such as tls.server.mode; see [ServerTLS]. Empty means that TLS is as
	// RocketMQ has it by default: permissive, with a certificate of its own making.
	TLS map[string]string
	// Access is how the server itself is reached by this package, and by brokers that look for a name server.
	Access Access
	// ACL makes a broker that authenticates its clients and asks what they may do (ACL 2.0). Access.AccessKey becomes its super
	// user.
	ACL bool
}

// Access is how a server is reached.
type Access struct {
	// TLS, if not nil, encrypts connections.
	TLS *tls.Config
	// AccessKey and SecretKey sign requests, unless they are empty.
	AccessKey, SecretKey string
}

// ServerTLS are the properties of a server that speaks nothing but TLS, with this certificate and its PKCS #8 key; clients must
// show a certificate of the authority, unless that is empty.
func ServerTLS(certFile, keyFile, clientAuthority string) map[string]string {
	properties := map[string]string{
		"tls.server.mode": "enforcing", "tls.test.mode.enable": "false",
		"tls.server.certPath": certFile, "tls.server.keyPath": keyFile,
	}
	if clientAuthority != "" {
		properties["tls.server.need.client.auth"] = "require"
		properties["tls.server.authClient"] = "true"
		properties["tls.server.trustCertPath"] = clientAuthority
	}
	return properties
}

// ClientTLS are the properties of a server that goes to TLS name servers, without verifying them. certFile and keyFile are its
// own certificate there, if it must show one.
func ClientTLS(certFile, keyFile string) map[string]string {
	properties := map[string]string{"tls.enable": "true", "tls.test.mode.enable": "false"}
	if certFile != "" {
		properties["tls.client.certPath"], properties["tls.client.keyPath"] = certFile, keyFile
	}
	return properties
}

// flags are the properties as flags for Java.
func (s *Secure) flags() []string {
	if s == nil {
		return nil
	}
	var flags []string
	for _, name := range slices.Sorted(maps.Keys(s.TLS)) {
		flags = append(flags, "-D"+name+"="+s.TLS[name])
	}
	return flags
}

// brokerConfig are the lines that switch ACL 2.0 on.
func (s *Secure) brokerConfig() map[string]string {
	if s == nil || !s.ACL {
		return nil
	}
	const auth = "org.apache.rocketmq.auth."
	user := func(name, secret string) string {
		text, _ := json.Marshal(map[string]string{name: s.Access.AccessKey, secret: s.Access.SecretKey}) // Text always can be.
		return string(text)
	}
	return map[string]string{
		"authenticationEnabled":                "true",
		"authenticationProvider":               auth + "authentication.provider.DefaultAuthenticationProvider",
		"authenticationMetadataProvider":       auth + "authentication.provider.LocalAuthenticationMetadataProvider",
		"initAuthenticationUser":               user("username", "password"),
		"innerClientAuthenticationCredentials": user("accessKey", "secretKey"),
		"authorizationEnabled":                 "true",
		"authorizationProvider":                auth + "authorization.provider.DefaultAuthorizationProvider",
		"authorizationMetadataProvider":        auth + "authorization.provider.LocalAuthorizationMetadataProvider",
	}
}

// writeTools writes the credentials where mqadmin looks for them.
func (s *Secure) writeTools(home string) error {
	if s == nil || s.Access.AccessKey == "" {
		return nil
	}
	conf := filepath.Join(home, "conf")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return fmt.Errorf("make the configuration folder: %w", err)
	}
	text := fmt.Sprintf("accessKey: %q\nsecretKey: %q\n", s.Access.AccessKey, s.Access.SecretKey)
	if err := os.WriteFile(filepath.Join(conf, "tools.yml"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the credentials of mqadmin: %w", err)
	}
	return nil
}

// ready asks whether the server is ready the way it wants to be asked.
func (s *Secure) ready(ask func(context.Context) error) func(context.Context) error {
	if s == nil {
		return ask
	}
	return func(ctx context.Context) error { return ask(WithAccess(ctx, s.Access)) }
}

type accessKey struct{}

// WithAccess makes what this package asks of servers, such as in [CreateTopic] and [ReadTopic], go by way of a.
func WithAccess(ctx context.Context, a Access) context.Context {
	return context.WithValue(ctx, accessKey{}, a)
}

func accessOf(ctx context.Context) Access {
	a, _ := ctx.Value(accessKey{}).(Access)
	return a
}

func (a Access) dial(ctx context.Context, addr string) (net.Conn, error) {
	var dialer net.Dialer
	if a.TLS == nil {
		return dialer.DialContext(ctx, "tcp", addr)
	}
	return (&tls.Dialer{NetDialer: &dialer, Config: a.TLS}).DialContext(ctx, "tcp", addr)
}

// sign returns the fields with those of a signed request: HMAC-SHA1 over all values in the order of their names, and the body.
func (a Access) sign(fields map[string]string, body []byte) map[string]string {
	if a.AccessKey == "" {
		return fields
	}
	signed := map[string]string{"AccessKey": a.AccessKey}
	maps.Copy(signed, fields)
	mac := hmac.New(sha1.New, []byte(a.SecretKey))
	for _, name := range slices.Sorted(maps.Keys(signed)) {
		_, _ = mac.Write([]byte(signed[name])) // It never fails.
	}
	_, _ = mac.Write(body)
	signed["Signature"] = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return signed
}

// Request codes for users and what they may do (RocketMQ 5.3 RequestCode).
const (
	authCreateUser = 3001
	authUpdateUser = 3002
	authCreateACL  = 3006
	authUpdateACL  = 3007
	authDeleteACL  = 3008
)

// SetUser makes a user of a broker with ACL 2.0, or gives him another secret. ctx must have the super user's access.
func (b *Broker) SetUser(ctx context.Context, name, secret string) error {
	user := map[string]string{"username": name, "password": secret, "userType": "Normal", "userStatus": "enable"}
	err := b.auth(ctx, authCreateUser, map[string]string{"username": name}, user)
	if err != nil {
		err = b.auth(ctx, authUpdateUser, map[string]string{"username": name}, user)
	}
	return err
}

// Grant allows a user of a broker with ACL 2.0 to do something with a resource, such as "Topic:orders", and nothing else with
// that one. ctx must have the super user's access.
func (b *Broker) Grant(ctx context.Context, user, resource string, actions ...string) error {
	type entry struct {
		Resource  string   `json:"resource"`
		Actions   []string `json:"actions"`
		SourceIPs []string `json:"sourceIps,omitempty"`
		Decision  string   `json:"decision"`
	}
	type policy struct {
		Type    string  `json:"policyType"`
		Entries []entry `json:"entries"`
	}
	acl := struct {
		Subject  string   `json:"subject"`
		Policies []policy `json:"policies"`
	}{"User:" + user, []policy{{"Custom", []entry{{Resource: resource, Actions: actions, Decision: "Allow"}}}}}
	fields := map[string]string{"subject": acl.Subject}
	err := b.auth(ctx, authCreateACL, fields, acl)
	if err != nil {
		err = b.auth(ctx, authUpdateACL, fields, acl)
	}
	return err
}

// Revoke takes from a user what he was allowed to do with a resource.
func (b *Broker) Revoke(ctx context.Context, user, resource string) error {
	return b.auth(ctx, authDeleteACL, map[string]string{"subject": "User:" + user, "policyType": "Custom", "resource": resource}, nil)
}

func (b *Broker) auth(ctx context.Context, code int, fields map[string]string, content any) error {
	var body []byte
	if content != nil {
		var err error
		if body, err = json.Marshal(content); err != nil {
			return err
		}
	}
	answer, _, err := exchangeWith(ctx, b.Addr, code, fields, body)
	if err == nil && answer.Code != 0 {
		err = fmt.Errorf("answer %d: %s", answer.Code, answer.Remark)
	}
	if err != nil {
		return fmt.Errorf("request %d for %v on %s: %w", code, fields, b.Name, err)
	}
	return nil
}
