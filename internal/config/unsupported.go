package config

import "strings"

// unsupported returns why a setting that a user may expect does not exist, or "". It is refused rather than ignored.
func unsupported(key string) string {
	first, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(key), "-", "_"), ".")
	name := strings.ReplaceAll(strings.ToLower(key), "-", "_")
	if is := renamed(name); is != "" {
		return "is unknown: the setting is " + is
	}
	switch {
	case first == "namespace":
		return "is not supported yet: topics and the group are used as they are written"
	case first == "trace" || strings.HasPrefix(first, "trace_"):
		return "is not supported yet: RocketMQ's message trace is off (for OpenTelemetry, use its OTEL_ variables)"
	}
	return ""
}

// renamed returns the setting that other programs call name; "" if there is none.
func renamed(name string) string {
	switch name {
	case "access_key", "secret_key", "security_token", "access_key_file", "secret_key_file", "security_token_file":
		return "credentials." + name
	case "tls":
		return "tls.enabled"
	case "tls_ca", "tls.ca":
		return "tls.ca_file"
	case "tls_cert", "tls.cert":
		return "tls.cert_file"
	case "tls_key", "tls.key":
		return "tls.key_file"
	}
	return ""
}
