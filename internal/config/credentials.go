package config

import (
	"fmt"
	"os"
	"strings"
)

// Credentials are those of a RocketMQ user.
type Credentials struct {
	AccessKey     string
	SecretKey     Secret
	SecurityToken Secret

	AccessKeyFile, SecretKeyFile, SecurityTokenFile string // as they are set; see files

	files map[string]string // from the key of a setting to the file that its value came from
}

func credentialSettings() []Setting {
	file := func(of string, field func(*Config) *string) Setting {
		return define(Setting{
			Key: "credentials." + of + "_file",
			Doc: "A file that holds `credentials." + of + "`, such as a mounted secret. White space around it is dropped. The file is read " +
				"again every few seconds, so that the credentials can be replaced without a restart.",
		}, text(), field)
	}
	return []Setting{
		define(Setting{
			Key: "credentials.access_key",
			Doc: "The RocketMQ user that requests are signed for, where the brokers ask for one (ACL). Needs `credentials.secret_key`. " +
				"Where nothing else gives credentials, ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET do. See [connecting.md](connecting.md).",
			DefaultNote: "none, requests are not signed",
		}, text(), func(c *Config) *string { return &c.Credentials.AccessKey }, matching(`^[^\x00-\x20\x7f]*$`, "without blanks")),
		file("access_key", func(c *Config) *string { return &c.Credentials.AccessKeyFile }),
		define(Setting{
			Key: "credentials.secret_key", Secret: true,
			Doc: "The secret of that user. Needs `credentials.access_key`. A flag is seen by everyone who can list processes: prefer the others.",
		}, secret(), func(c *Config) *Secret { return &c.Credentials.SecretKey }),
		file("secret_key", func(c *Config) *string { return &c.Credentials.SecretKeyFile }),
		define(Setting{
			Key: "credentials.security_token", Secret: true,
			Doc: "The security token of temporary credentials (STS), which is sent with every request and signed.",
		}, secret(), func(c *Config) *Secret { return &c.Credentials.SecurityToken }),
		file("security_token", func(c *Config) *string { return &c.Credentials.SecurityTokenFile }),
	}
}

// alibabaVariables are where other programs of Alibaba Cloud look for credentials.
func alibabaVariables() map[string]string {
	return map[string]string{
		"credentials.access_key":     "ALIBABA_CLOUD_ACCESS_KEY_ID",
		"credentials.secret_key":     "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
		"credentials.security_token": "ALIBABA_CLOUD_SECURITY_TOKEN",
	}
}

// addAlibaba reads credentials from the variables of Alibaba Cloud, if both are there and nothing else gives any: halves of two
// pairs would be no credentials at all.
func (l *loader) addAlibaba(environ []string) {
	for _, s := range credentialSettings() {
		if l.strongest(s.Key) >= 0 {
			return
		}
	}
	variables, values := environment(environ), map[string]any{}
	for key, name := range alibabaVariables() {
		if variables[name] != "" {
			values[key] = variables[name]
		}
	}
	if values["credentials.access_key"] == nil || values["credentials.secret_key"] == nil {
		return
	}
	l.add(values, func(key, _ string) string { return "env " + alibabaVariables()[key] })
}

// credentialWarnings are about variables that look like credentials and are not read.
func credentialWarnings(c *Config, environ []string) []string {
	if c.Credentials.AccessKey != "" {
		return nil
	}
	var ws []string
	variables := environment(environ)
	for _, name := range keysOf(variables) {
		if (strings.HasPrefix(name, "ROCKETMQ_") || strings.HasPrefix(name, "ALIBABA_CLOUD_")) &&
			strings.Contains(name, "ACCESS_KEY") && variables[name] != "" {
			ws = append(ws, fmt.Sprintf("%s is set, but no credentials are: requests are not signed. Set credentials.access_key and "+
				"credentials.secret_key, or both ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET", name))
		}
	}
	return ws
}

// credentialFiles notes which credentials came from files.
func (l *loader) credentialFiles() map[string]string {
	files := map[string]string{}
	for _, s := range credentialSettings() {
		if name, ok := strings.CutPrefix(l.source(s.Key), "file "); ok {
			files[s.Key] = name
		}
	}
	return files
}

// InFiles reports whether any of the credentials came from a file, which may change.
func (c *Credentials) InFiles() bool { return len(c.files) > 0 }

// Reread returns the credentials with those that came from files as they are in the files now. Where one is empty or cannot be
// read, the error names its setting.
func (c *Credentials) Reread() (Credentials, error) {
	now := *c
	for _, key := range keysOf(c.files) {
		text, err := os.ReadFile(c.files[key])
		value := strings.TrimSpace(string(text))
		switch {
		case err != nil:
			return *c, fmt.Errorf("%s_file: %s: %s", key, show(c.files[key], false), cause(err))
		case value == "":
			return *c, fmt.Errorf("%s_file: %s: is empty", key, show(c.files[key], false))
		}
		switch key {
		case "credentials.access_key":
			now.AccessKey = value
		case "credentials.secret_key":
			now.SecretKey = NewSecret(value)
		case "credentials.security_token":
			now.SecurityToken = NewSecret(value)
		}
	}
	return now, nil
}

func credentialRelations() []relation {
	given := func(s string) bool { return s != "" }
	return []relation{
		{
			keys: []string{"credentials.access_key", "credentials.secret_key"}, text: "%s and %s must be given together",
			ok: func(c *Config) bool { return given(c.Credentials.AccessKey) == given(c.Credentials.SecretKey.Reveal()) },
		},
		{
			keys: []string{"credentials.security_token", "credentials.access_key"}, text: "%s needs %s",
			ok: func(c *Config) bool {
				return !given(c.Credentials.SecurityToken.Reveal()) || given(c.Credentials.AccessKey)
			},
		},
	}
}
