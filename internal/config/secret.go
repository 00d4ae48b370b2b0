package config

import "log/slog"

// Secret is text that is never printed or logged; only Reveal returns it.
type Secret struct{ text string }

// hidden stands for a secret wherever one would be seen.
const hidden = "(secret)"

// NewSecret keeps text secret.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text.
func (s Secret) Reveal() string { return s.text }

// String says only whether there is one.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return hidden
}

// GoString keeps %#v from printing the field.
func (s Secret) GoString() string { return "config.Secret(" + s.String() + ")" }

// LogValue makes slog log what String returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps encoders from writing the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func secret() kind[Secret] {
	return scalar("secret", "text", func(s string) (Secret, error) { return NewSecret(s), nil }, Secret.String)
}
