package config

import "strings"

// unsupported returns why a setting that a user may expect does not exist, or "". It is refused rather than ignored: a
// relay that drops a tls section would send in the clear.
func unsupported(key string) string {
	first, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(key), "-", "_"), ".")
	switch {
	case first == "tls" || strings.HasPrefix(first, "tls_"):
		return "is not supported yet: connections to brokers are plain TCP (for the database, use sslmode in its URL)"
	case first == "access_key" || first == "secret_key" || first == "security_token" || first == "credentials" ||
		strings.HasPrefix(first, "access_key_") || strings.HasPrefix(first, "secret_key_") || strings.HasPrefix(first, "credentials_"):
		return "is not supported yet: the relay cannot sign its requests"
	}
	return ""
}
