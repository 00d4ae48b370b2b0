package config

import (
	"fmt"
	"strings"
)

// Markdown returns docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(preface)
	for _, s := range Settings() {
		fmt.Fprintf(&b, "\n### `%s`\n\n%s\n\n", s.Key, s.Doc)
		fmt.Fprintf(&b, "`%s` · `--%s` · %s", s.Env(), s.Flag(), s.Kind)
		if s.Rule != "" {
			fmt.Fprintf(&b, " · %s", s.Rule)
		}
		switch {
		case s.Default != "":
			fmt.Fprintf(&b, " · default `%s`", s.Default)
		case s.DefaultNote != "":
			fmt.Fprintf(&b, " · default: %s", s.DefaultNote)
		}
		b.WriteString("\n")
	}
	return b.String()
}

const preface = `<!-- Made from internal/config/settings.go by UPDATE_DOCS=1 go test ./internal/config. Do not edit. -->

# Configuration

Every setting can be given in a YAML file, as an environment variable and as a flag. The flag wins over the variable, the
variable over the file, the file over the default. Three settings are enough:

` + "```yaml" + `
database:
  url: postgres://outbox_relay:secret@localhost:5432/shop
nameservers: [localhost:9876]
topics: [orders, payments]
` + "```" + `

The file is named by ` + "`--config`" + ` or ` + "`OUTBOX_RELAY_CONFIG`" + `. The variable of a setting is its key in upper case with
` + "`_`" + ` for the dots, after ` + "`OUTBOX_RELAY_`" + `; the flag is its key with dashes. An empty variable counts as not set.

- ` + "`outbox-relay config check`" + ` prints every mistake at once, or every setting with its value and where it comes from. An
  unknown key is a mistake, in the file and in variables that start with ` + "`OUTBOX_RELAY_`" + ` (except those that Kubernetes makes for a
  Service of that name).
- Secrets can be in files: ` + "`database.url_file`, `credentials.secret_key_file`" + `. They are never logged or printed.
- Telemetry by OTLP is set with OpenTelemetry's own variables, such as ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + `; see [metrics.md](metrics.md).

Durations have units (` + "`500ms`, `10s`, `24h`, `7d`" + `), sizes may have (` + "`65536`, `512KiB`, `8MiB`" + `).

## Settings
`
