package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTLSSettings(t *testing.T) {
	t.Parallel()
	file := secretIn(t, "pem")
	c, err := Load(input(t, "tls: {enabled: true, server_name: brokers.example}", []string{"OUTBOX_RELAY_TLS_CA_FILE=" + file},
		"--tls-cert-file="+file, "--tls-key-file="+file, "--tls-nameservers=false"), NeedNothing)
	require.NoError(t, err)
	require.Equal(t, TLS{Enabled: true, CAFile: file, CertFile: file, KeyFile: file, ServerName: "brokers.example"}, c.TLS)
	c, err = Load(Input{}, NeedNothing)
	require.NoError(t, err)
	require.Equal(t, TLS{NameServers: true}, c.TLS)
}

// A part of the section that would be ignored is a mistake: the relay would send in the clear.
func TestTLSPartsThatDoNotFit(t *testing.T) {
	t.Parallel()
	file := secretIn(t, "pem")
	for args, want := range map[string]string{
		"--tls-ca-file=F":                                         "tls.ca_file (F, flag --tls-ca-file) needs tls.enabled (false, default) to be true: without it, connections are not encrypted",
		"--tls-server-name=x":                                     "needs tls.enabled (false, default) to be true",
		"--tls-cert-file=F --tls-key-file=F":                      "needs tls.enabled (false, default) to be true",
		"--tls-enabled=true --tls-cert-file=F":                    "tls.cert_file (F, flag --tls-cert-file) and tls.key_file (not set) must be given together",
		"--tls-enabled=true --tls-key-file=F":                     "tls.cert_file (not set) and tls.key_file (F, flag --tls-key-file) must be given together",
		"--tls-enabled=true --tls-ca-file=/nonexistent/authority": `tls.ca_file: "/nonexistent/authority": must name a readable file: no such file or directory`,
		"--tls-enabled=true --tls-ca-file=/":                      `tls.ca_file: "/": must name a readable file: is a directory`,
		"--tls-enabled=perhaps":                                   `tls.enabled: "perhaps": must be true or false`,
	} {
		got := mistakes(t, input(t, "", nil, strings.Fields(strings.ReplaceAll(args, "=F", "="+file))...), NeedNothing)
		require.Contains(t, got, strings.ReplaceAll(want, "(F,", "("+file+","), args)
	}
}
