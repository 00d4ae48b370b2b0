package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"
)

// nameServers reads a list of name servers into host:port each.
func nameServers() kind[[]string] {
	return kind[[]string]{
		name: "list",
		show: func(v []string) string { return strings.Join(v, ",") },
		parse: func(raw any) ([]string, []fault) {
			items, faults := listItems(raw, ";,")
			var servers []string
			for i, item := range items {
				text, _ := scalarText(item)
				server, rule := nameServer(text)
				if rule != "" {
					faults = append(faults, fault{path: fmt.Sprintf("[%d]", i), value: text, rule: rule})
					continue
				}
				servers = append(servers, server)
			}
			return servers, faults
		},
	}
}

// nameServer returns s as host:port, or the rule that it breaks.
func nameServer(s string) (server, rule string) {
	if strings.HasPrefix(s, "https://") {
		return "", "must be host:port or http://host:port; for TLS, set tls.enabled"
	}
	server = strings.TrimSuffix(strings.TrimPrefix(s, "http://"), "/")
	if rule := hostPort(server, 1); rule != "" {
		return "", rule + ", or http:// before it"
	}
	return server, ""
}

// hostPort returns the rule that s breaks as host:port, or "".
func hostPort(s string, minPort int) string {
	const rule = "must be host:port"
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return rule
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || int(n) < minPort {
		return fmt.Sprintf("%s with a port from %d to 65535", rule, minPort)
	}
	// A separator in a host would make two servers of one, because the client is given them as one text.
	if (host == "" && minPort > 0) || strings.ContainsAny(host, "/@?#;,") || strings.ContainsFunc(host, notPrinted) {
		return rule
	}
	return ""
}

func notPrinted(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// listenAddress reads [host]:port; "" and off mean nowhere.
func listenAddress() kind[string] {
	k := kind[string]{name: "address", show: func(s string) string {
		if s == "" {
			return "off"
		}
		return s
	}}
	k.parse = func(raw any) (string, []fault) {
		s, ok := scalarText(raw)
		if ok && (s == "" || s == "off" || s == "false") {
			return "", nil
		}
		if !ok || hostPort(s, 0) != "" {
			return "", faultf("must be [host]:port such as :9090 or 127.0.0.1:9090, or off")
		}
		return s, nil
	}
	return k
}

// listItems returns the items of a YAML list, or of text separated by any of separators.
func listItems(raw any, separators string) ([]any, []fault) {
	if list, ok := raw.([]any); ok {
		return list, nil
	}
	text, ok := scalarText(raw)
	if !ok {
		return nil, faultf("must be a list, or text separated by %s", strings.Join(strings.Split(separators, ""), " or "))
	}
	var items []any
	for item := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items, nil
}
