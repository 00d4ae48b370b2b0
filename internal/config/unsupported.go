package config

import "strings"

// unsupported says what a setting is called here that has another name elsewhere, or "".
func unsupported(key string) string {
	if is := renamed(strings.ReplaceAll(strings.ToLower(key), "-", "_")); is != "" {
		return "is unknown: the setting is " + is
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
