package outbox

import (
	"strings"
	"unicode/utf8"
)

// plainHeaders reads headers of the common form, an object of strings without escapes, as PostgreSQL prints jsonb. False for
// anything else, right or wrong. Every row's headers are parsed: this way they cost a third.
func plainHeaders(text string) (headers map[string]string, ok bool) {
	rest, ok := strings.CutPrefix(text, "{")
	if !ok || !utf8.ValidString(text) {
		return nil, false
	}
	headers = make(map[string]string, strings.Count(text, ":"))
	for {
		var name, value string
		if name, rest, ok = plainString(rest); !ok {
			return nil, false
		}
		if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " "), ":"); !ok {
			return nil, false
		}
		if value, rest, ok = plainString(rest); !ok {
			return nil, false
		}
		headers[name] = value
		rest = strings.TrimLeft(rest, " ")
		if rest == "}" {
			return headers, true
		}
		if rest, ok = strings.CutPrefix(rest, ","); !ok {
			return nil, false
		}
	}
}

// plainString cuts a JSON string without escapes off the text.
func plainString(text string) (value, rest string, ok bool) {
	text, ok = strings.CutPrefix(strings.TrimLeft(text, " "), `"`)
	if !ok {
		return "", "", false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			return text[:i], text[i+1:], true
		case c == '\\' || c < ' ':
			return "", "", false
		}
	}
	return "", "", false
}
