package config

import (
	"os"
	"strconv"
)

// TLS says how connections to RocketMQ are encrypted.
type TLS struct {
	Enabled           bool
	NameServers       bool
	CAFile            string
	CertFile, KeyFile string
	ServerName        string
}

func tlsSettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "tls.enabled", Default: "false",
			Doc: "Whether connections to RocketMQ are encrypted. The servers' certificates are always verified. For the database, use " +
				"sslmode in its URL. See [connecting.md](connecting.md).",
		}, toggle(), func(c *Config) *bool { return &c.TLS.Enabled }),
		define(Setting{
			Key: "tls.nameservers", Default: "true",
			Doc: "Whether name servers speak TLS too, where `tls.enabled` is set.",
		}, toggle(), func(c *Config) *bool { return &c.TLS.NameServers }),
		define(Setting{
			Key: "tls.ca_file", DefaultNote: "the authorities that the system trusts",
			Doc: "The certificates, in PEM, of the authorities that may have signed those of the servers. This file and the two below are read " +
				"again for every connection, so that certificates can be replaced without a restart.",
		}, readableFile(), func(c *Config) *string { return &c.TLS.CAFile }),
		define(Setting{
			Key: "tls.cert_file",
			Doc: "The relay's own certificate, in PEM, where servers ask for one. Needs `tls.key_file`.",
		}, readableFile(), func(c *Config) *string { return &c.TLS.CertFile }),
		define(Setting{
			Key: "tls.key_file",
			Doc: "The key of that certificate, in PEM, without a passphrase.",
		}, readableFile(), func(c *Config) *string { return &c.TLS.KeyFile }),
		define(Setting{
			Key: "tls.server_name", DefaultNote: "the host of the address that is connected to",
			Doc: "The name that the servers' certificates must be for. Brokers are connected to at the address that they tell (brokerIP1), so it " +
				"is needed where their certificates are for names.",
		}, text(), func(c *Config) *string { return &c.TLS.ServerName }, matching(`^[A-Za-z0-9._:-]*$`, "a host name or an address")),
	}
}

func toggle() kind[bool] {
	return scalar("boolean", "true or false", strconv.ParseBool, strconv.FormatBool)
}

// readableFile is the name of a file that can be read now.
func readableFile() kind[string] {
	k := text()
	k.name = "file"
	k.parse = func(raw any) (string, []fault) {
		name, ok := scalarText(raw)
		if !ok {
			return "", faultf("must be the name of a file")
		}
		if name == "" {
			return "", nil
		}
		if _, err := os.ReadFile(name); err != nil {
			return "", faultf("must name a readable file: %s", cause(err))
		}
		return name, nil
	}
	return k
}

// tlsRelations refuse what would be ignored: a relay that overlooks a part of the section would send in the clear.
func tlsRelations() []relation {
	relations := []relation{{
		keys: []string{"tls.cert_file", "tls.key_file"}, text: "%s and %s must be given together",
		ok: func(c *Config) bool { return (c.TLS.CertFile == "") == (c.TLS.KeyFile == "") },
	}}
	for key, value := range map[string]func(*Config) string{
		"tls.ca_file": func(c *Config) string { return c.TLS.CAFile }, "tls.cert_file": func(c *Config) string { return c.TLS.CertFile },
		"tls.key_file": func(c *Config) string { return c.TLS.KeyFile }, "tls.server_name": func(c *Config) string { return c.TLS.ServerName },
	} {
		relations = append(relations, relation{
			keys: []string{key, "tls.enabled"}, text: "%s needs %s to be true: without it, connections are not encrypted",
			ok: func(c *Config) bool { return c.TLS.Enabled || value(c) == "" },
		})
	}
	return relations
}
