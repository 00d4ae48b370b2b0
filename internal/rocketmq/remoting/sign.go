package remoting

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // It is what the protocol asks for.
	"encoding/base64"
	"hash"
	"sync"
	"sync/atomic"
)

// The ext fields of a signed request (SessionCredentials).
const (
	fieldAccessKey     = "AccessKey"
	fieldSignature     = "Signature"
	fieldSecurityToken = "SecurityToken"
)

// fieldUnsigned takes no part in the signature: a peer leaves it out for clients of before 4.9.4, and by our version number
// we are one (DefaultAuthenticationContextBuilder, MixAll.UNIQUE_MSG_QUERY_FLAG).
const fieldUnsigned = "_UNIQUE_KEY_QUERY"

// Credentials are what requests are signed with. The security token, if any, is sent and signed too.
type Credentials struct {
	AccessKey, SecretKey, SecurityToken string
}

// Keys hold the credentials of one or more pools. They may be replaced while the pools are in use: requests that are begun
// after that are signed with the new ones.
type Keys struct {
	current atomic.Pointer[keyring]
}

// keyring is one set of credentials and the signers that were made for it.
type keyring struct {
	credentials Credentials
	signers     sync.Pool
}

// NewKeys returns keys that hold c.
func NewKeys(c Credentials) *Keys {
	k := &Keys{}
	k.Set(c)
	return k
}

// Set replaces the credentials.
func (k *Keys) Set(c Credentials) { k.current.Store(&keyring{credentials: c}) }

// Get returns the credentials; the zero value if there are none.
func (k *Keys) Get() Credentials {
	if k == nil {
		return Credentials{}
	}
	return k.current.Load().credentials
}

// signer returns a signer for one batch; nil if requests are not signed.
func (k *Keys) signer() *signer {
	if k == nil {
		return nil
	}
	ring := k.current.Load()
	if ring.credentials.AccessKey == "" {
		return nil
	}
	if s, ok := ring.signers.Get().(*signer); ok {
		return s
	}
	return &signer{ring: ring, mac: hmac.New(sha1.New, []byte(ring.credentials.SecretKey))}
}

// A signer signs requests one after the other. It notes the ext fields of the one that is being encoded.
type signer struct {
	ring   *keyring
	mac    hash.Hash
	fields []signedField
	values []byte // of all fields, as they were before any quoting
	sum    [sha1.Size]byte
	text   [28]byte // base64 of sum
}

type signedField struct {
	name     string
	from, to int // in values
}

// release keeps the signer for the next batch.
func (s *signer) release() {
	if cap(s.values) <= keepBuffer {
		s.ring.signers.Put(s)
	}
}

func (s *signer) begin() { s.fields, s.values = s.fields[:0], s.values[:0] }

// note keeps a field in the order of names: there are about a dozen.
func (s *signer) note(name string, value []byte) {
	if name == fieldUnsigned {
		return
	}
	f := signedField{name: name, from: len(s.values)}
	s.values = append(s.values, value...)
	s.place(f)
}

func (s *signer) noteString(name, value string) {
	if name == fieldUnsigned {
		return
	}
	f := signedField{name: name, from: len(s.values)}
	s.values = append(s.values, value...)
	s.place(f)
}

func (s *signer) place(f signedField) {
	f.to = len(s.values)
	s.fields = append(s.fields, f)
	for i := len(s.fields) - 1; i > 0 && s.fields[i].name < s.fields[i-1].name; i-- {
		s.fields[i], s.fields[i-1] = s.fields[i-1], s.fields[i]
	}
}

// signature is that of the noted fields and the body: Base64(HMAC-SHA1(values in the order of names, body)). It is valid until
// the next one.
func (s *signer) signature(body []byte) []byte {
	s.mac.Reset()
	for _, f := range s.fields {
		_, _ = s.mac.Write(s.values[f.from:f.to]) // It never fails.
	}
	_, _ = s.mac.Write(body)
	base64.StdEncoding.Encode(s.text[:], s.mac.Sum(s.sum[:0]))
	return s.text[:]
}

// sign adds the fields of the credentials and the signature to the current frame.
func (e *Encoder) sign(body []byte) {
	s := e.signer
	c := &s.ring.credentials
	e.String(fieldAccessKey, c.AccessKey)
	if c.SecurityToken != "" {
		e.String(fieldSecurityToken, c.SecurityToken)
	}
	signature := s.signature(body)
	e.signer = nil // the signature itself is not signed
	e.Text(fieldSignature, signature)
	e.signer = s
}
