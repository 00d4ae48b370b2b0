package remoting

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// signed encodes one request and returns it as a peer decodes it.
func signed(t testing.TB, c Credentials, asJSON bool, fields [][2]string, body []byte) *Command {
	t.Helper()
	e := Encoder{JSON: asJSON, signer: NewKeys(c).signer()}
	e.Begin(310, 0, 1, "")
	for i, f := range fields {
		if i%2 == 0 {
			e.String(f[0], f[1])
		} else {
			e.Text(f[0], []byte(f[1]))
		}
	}
	require.NoError(t, e.End(body))
	return decodeAll(t, e.Bytes())[0]
}

// The signatures are those that the Java client's AclClientRPCHook (rocketmq-client 5.3.3) makes for the same requests.
func TestSignatureIsThatOfTheJavaClient(t *testing.T) {
	t.Parallel()
	relay := Credentials{AccessKey: "relay", SecretKey: "12345678"}
	withToken := relay
	withToken.SecurityToken = "a-token"
	for name, test := range map[string]struct {
		credentials Credentials
		fields      [][2]string
		body        []byte
		want        string
	}{
		"fields and body": {
			relay,
			[][2]string{{"topic", "orders"}, {"queueId", "0"}, {"a", "g"}, {"Z", "last upper"}, {"i", "KEYS\x01a b\x02TAGS\x01é😀\x02"}},
			[]byte("body"),
			"fOvYr7Dh3rCDiHbvZS1KsYAIz7I=",
		},
		"nothing":        {relay, nil, nil, "ZBQtTL6hQ2azU2aFyBU6B1eQAj0="},
		"security token": {withToken, [][2]string{{"topic", "orders"}}, []byte{0, 1, 2, 255}, "x7pvHdmftchDXTMEaCbpRZm+L9I="},
		// A peer leaves this field out for clients of our version.
		"unsigned field": {relay, [][2]string{{fieldUnsigned, "true"}}, nil, "ZBQtTL6hQ2azU2aFyBU6B1eQAj0="},
	} {
		for _, asJSON := range []bool{false, true} {
			cmd := signed(t, test.credentials, asJSON, test.fields, test.body)
			signature, _ := cmd.Ext(fieldSignature)
			require.Equal(t, test.want, string(signature), "%s, JSON %v", name, asJSON)
			key, _ := cmd.Ext(fieldAccessKey)
			require.Equal(t, "relay", string(key))
			for _, f := range test.fields {
				value, _ := cmd.Ext(f[0])
				require.Equal(t, f[1], string(value))
			}
		}
	}
}

func TestRequestsWithoutCredentialsAreNotSigned(t *testing.T) {
	t.Parallel()
	var none *Keys
	require.Nil(t, none.signer())
	require.Nil(t, NewKeys(Credentials{}).signer())
	require.Zero(t, none.Get())
	cmd := decodeAll(t, frameOf(t, false, 0, 1, "", [][2]string{{"topic", "orders"}}, nil))[0]
	_, ok := cmd.Ext(fieldSignature)
	require.False(t, ok)
}

// A batch keeps the credentials that it was begun with; the next one has the new ones.
func TestKeysAreReplacedWhileInUse(t *testing.T) {
	t.Parallel()
	first, second := Credentials{AccessKey: "a", SecretKey: "1"}, Credentials{AccessKey: "b", SecretKey: "2"}
	keys := NewKeys(first)
	before := keys.signer()
	keys.Set(second)
	require.Equal(t, second, keys.Get())
	require.Equal(t, first, before.ring.credentials)
	before.release()
	require.Equal(t, second, keys.signer().ring.credentials, "a signer that comes back late is not used for the new ones")

	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 500 {
				s := keys.signer()
				s.begin()
				s.noteString("topic", "orders")
				s.signature(nil)
				s.release()
				keys.Set(first)
			}
		})
	}
	all.Wait()
}

// Signing many requests allocates nothing beyond the buffer that the frames are in.
func TestSigningDoesNotAllocate(t *testing.T) {
	e := Encoder{signer: NewKeys(Credentials{AccessKey: "relay", SecretKey: "12345678"}).signer()}
	body, properties := make([]byte, 512), []byte("KEYS\x01a b\x02TAGS\x01x\x02")
	encode := func() {
		e.buf = e.buf[:0]
		e.Begin(310, 0, 1, "")
		e.String("a", "group")
		e.String("b", "orders")
		e.Int("e", 3)
		e.Text("i", properties)
		e.Bool("k", false)
		_ = e.End(body)
	}
	encode()
	require.Zero(t, testing.AllocsPerRun(100, encode))
}

func BenchmarkEncode(b *testing.B) {
	for name, s := range map[string]*signer{"unsigned": nil, "signed": NewKeys(Credentials{AccessKey: "relay", SecretKey: "12345678"}).signer()} {
		b.Run(name, func(b *testing.B) {
			e := Encoder{signer: s}
			body := make([]byte, 512)
			b.ReportAllocs()
			for b.Loop() {
				e.buf = e.buf[:0]
				e.Begin(310, 0, 1, "")
				for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"} {
					e.String(name, "a value of usual size")
				}
				_ = e.End(body)
			}
		})
	}
}
