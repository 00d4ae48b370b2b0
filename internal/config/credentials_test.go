package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCredentialsFromEverySource(t *testing.T) {
	t.Parallel()
	const ak, sk = "OUTBOX_RELAY_CREDENTIALS_ACCESS_KEY", "OUTBOX_RELAY_CREDENTIALS_SECRET_KEY"
	alibaba := []string{"ALIBABA_CLOUD_ACCESS_KEY_ID=cloud", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=hunter2-cloud", "ALIBABA_CLOUD_SECURITY_TOKEN=hunter2-token"}
	file := "credentials: {access_key: filed, secret_key: hunter2-filed}"
	keyFile, secretFile := secretIn(t, "mounted\n"), secretIn(t, "hunter2-mounted\n")
	for name, test := range map[string]struct {
		yaml                   string
		environ, args          []string
		access, secret, source string
	}{
		"nothing":     {source: "not set"},
		"file":        {yaml: file, access: "filed", secret: "hunter2-filed", source: "relay.yaml:1"},
		"environment": {yaml: file, environ: []string{ak + "=env", sk + "=hunter2-env"}, access: "env", secret: "hunter2-env", source: "env " + ak},
		"flags": {
			environ: []string{ak + "=env", sk + "=hunter2-env"}, args: []string{"--credentials-access-key=flag", "--credentials-secret-key=hunter2-flag"},
			access: "flag", secret: "hunter2-flag", source: "flag --credentials-access-key",
		},
		"files": {
			args:   []string{"--credentials-access-key-file=" + keyFile, "--credentials-secret-key-file=" + secretFile},
			access: "mounted", secret: "hunter2-mounted", source: "file " + keyFile,
		},
		"one in a file": {
			yaml: fmt.Sprintf("credentials: {access_key: filed, secret_key_file: %q}", secretFile), access: "filed", secret: "hunter2-mounted", source: "relay.yaml:1",
		},
		"Alibaba Cloud":                    {environ: alibaba, access: "cloud", secret: "hunter2-cloud", source: "env ALIBABA_CLOUD_ACCESS_KEY_ID"},
		"Alibaba Cloud and a setting":      {yaml: file, environ: alibaba, access: "filed", secret: "hunter2-filed", source: "relay.yaml:1"},
		"half of Alibaba Cloud is nothing": {environ: alibaba[:1], source: "not set"},
		"a number":                         {yaml: "credentials: {access_key: 12345678, secret_key: 87654321}", access: "12345678", secret: "87654321", source: "relay.yaml:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Load(input(t, test.yaml, test.environ, test.args...), NeedNothing)
			require.NoError(t, err)
			require.Equal(t, test.access, c.Credentials.AccessKey)
			require.Equal(t, test.secret, c.Credentials.SecretKey.Reveal())
			require.Contains(t, origin(t, c, "credentials.access_key").Source, test.source)
			all := fmt.Sprintf("%v %+v %#v %s", c.Origins(), c.Credentials, c.Credentials.SecretKey, c.Warnings())
			require.NotContains(t, all, "hunter2", "never shown")
			if test.secret != "" {
				require.Equal(t, "(secret)", origin(t, c, "credentials.secret_key").Value)
			}
		})
	}
}

// Half a pair is a mistake that names both settings, wherever the half comes from; halves of different pairs are never joined.
func TestCredentialsThatAreHalfSet(t *testing.T) {
	t.Parallel()
	alibaba := []string{"ALIBABA_CLOUD_ACCESS_KEY_ID=cloud", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=hunter2"}
	for name, in := range map[string]Input{
		"access key":                 input(t, "credentials: {access_key: me}", nil),
		"secret key":                 input(t, "", []string{"OUTBOX_RELAY_CREDENTIALS_SECRET_KEY=hunter2"}),
		"secret key file":            input(t, "", nil, "--credentials-secret-key-file="+secretIn(t, "hunter2")),
		"empty secret key file":      input(t, "credentials: {access_key: me}", nil, "--credentials-secret-key-file="+secretIn(t, " \n")),
		"access key, Alibaba's pair": input(t, "credentials: {access_key: me}", alibaba),
	} {
		got := mistakes(t, in, NeedNothing)
		require.Contains(t, got, "1 mistake", name)
		require.Regexp(t, `credentials\.access_key \(.*\) and credentials\.secret_key \(.*\) must be given together`, got, name)
		require.NotContains(t, got, "hunter2", name)
	}
	got := mistakes(t, input(t, "credentials: {security_token: hunter2}", nil), NeedNothing)
	require.Contains(t, got, "credentials.security_token ((secret), ")
	require.Contains(t, got, ") needs credentials.access_key (not set)")
	got = mistakes(t, input(t, "credentials: {access_key: a b, secret_key: x}", nil), NeedNothing)
	require.Contains(t, got, `credentials.access_key: "a b": must be without blanks`)
	got = mistakes(t, input(t, "", nil, "--credentials-access-key=a", "--credentials-secret-key-file=/nonexistent/x"), NeedNothing)
	require.Contains(t, got, `credentials.secret_key_file: "/nonexistent/x": must name a readable file: no such file or directory`)
}

func TestCredentialsAreReadAgain(t *testing.T) {
	t.Parallel()
	keyFile, secretFile := secretIn(t, "first"), secretIn(t, "hunter2")
	c, err := Load(input(t, "", nil, "--credentials-access-key-file="+keyFile, "--credentials-secret-key-file="+secretFile), NeedNothing)
	require.NoError(t, err)
	require.True(t, c.Credentials.InFiles())
	require.NoError(t, os.WriteFile(secretFile, []byte("hunter3\n"), 0o600))
	now, err := c.Credentials.Reread()
	require.NoError(t, err)
	require.Equal(t, []string{"first", "hunter3"}, []string{now.AccessKey, now.SecretKey.Reveal()})
	require.NoError(t, os.WriteFile(keyFile, []byte("second"), 0o600))
	now, err = now.Reread()
	require.NoError(t, err)
	require.Equal(t, []string{"second", "hunter3"}, []string{now.AccessKey, now.SecretKey.Reveal()})

	require.NoError(t, os.WriteFile(secretFile, nil, 0o600))
	kept, err := now.Reread()
	require.ErrorContains(t, err, "credentials.secret_key_file: ")
	require.ErrorContains(t, err, "is empty")
	require.Equal(t, "hunter3", kept.SecretKey.Reveal())
	require.NoError(t, os.Remove(keyFile))
	_, err = now.Reread()
	require.ErrorContains(t, err, "credentials.access_key_file: ")

	// What holds is not read from a file that does not.
	c, err = Load(input(t, fmt.Sprintf("credentials: {access_key: me, secret_key_file: %q}", secretIn(t, "filed")), nil, "--credentials-secret-key=flag"), NeedNothing)
	require.NoError(t, err)
	require.False(t, c.Credentials.InFiles())
}

func TestCredentialsOfOtherClientsAreWarnedAbout(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]bool{
		"ROCKETMQ_ACCESS_KEY=hunter2":             true,
		"ROCKETMQ_CLIENT_ACCESS_KEY=hunter2":      true,
		"ALIBABA_CLOUD_ACCESS_KEY_ID=hunter2":     true,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=hunter2": true,
		"ROCKETMQ_ACCESS_KEY=":                    false,
		"ROCKETMQ_HOME=/opt/rocketmq":             false,
		"AWS_ACCESS_KEY_ID=hunter2":               false,
		"MY_ROCKETMQ_ACCESS_KEY=hunter2":          false,
	} {
		c, err := Load(Input{Environ: []string{variable}}, NeedNothing)
		require.NoError(t, err, variable)
		name, _, _ := strings.Cut(variable, "=")
		require.Equal(t, want, strings.Contains(strings.Join(c.Warnings(), "\n"), name+" is set, but no credentials are"), variable)
		c, err = Load(Input{Environ: []string{variable, "OUTBOX_RELAY_CREDENTIALS_ACCESS_KEY=a", "OUTBOX_RELAY_CREDENTIALS_SECRET_KEY=b"}}, NeedNothing)
		require.NoError(t, err, variable)
		require.Empty(t, c.Warnings(), variable)
	}
}
