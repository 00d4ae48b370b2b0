// Package endpoint reads the addresses of RocketMQ's name servers as people and consoles write them, and knows what ApsaraMQ
// for RocketMQ, Alibaba Cloud's product, puts into its own: the instance's namespace, and the port.
package endpoint

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// DefaultPort is where Apache RocketMQ's name server listens unless it is told otherwise. Its own clients want the port
// written out, and so do we: a guess would reach whatever else listens there.
const DefaultPort = 9876

// The ports of ApsaraMQ's endpoints, which its consoles print with or without.
const (
	apsara4Port = 80
	apsara5Port = 8080
)

var (
	// errForm is the rule that every mistake breaks; what else is said of it comes after.
	errForm = errors.New("must be host:port, or http:// before it")
	errPort = errors.New("must be host:port with a port from 1 to 65535, or http:// before it")
)

// Split cuts a list of addresses at ; and , and white space.
func Split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ';' || r == ',' || unicode.IsSpace(r) })
}

// Parse returns an address as host:port. It takes host:port, [IPv6]:port, either with http:// before it, as ApsaraMQ's
// consoles show it, and with slashes after it. ApsaraMQ's endpoints may lack the port. The error is the rule that s breaks.
func Parse(s string) (string, error) {
	address := strings.TrimSpace(s)
	if scheme, rest, found := strings.Cut(address, "://"); found {
		switch strings.ToLower(scheme) {
		case "http":
			address = rest
		case "https":
			return "", fmt.Errorf("%w: name servers do not speak HTTPS; for TLS, write host:port and switch it on in the settings of TLS",
				errForm)
		default:
			return "", fmt.Errorf("%w: not %s://", errForm, scheme)
		}
	}
	address = strings.TrimRight(address, "/")
	if err := wellFormed(address); err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return withPort(address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errPort
	}
	return address, hostRule(host, strings.HasPrefix(address, "["))
}

// wellFormed refuses what is no host and port whatever it means.
func wellFormed(address string) error {
	switch {
	case address == "" || strings.ContainsFunc(address, notPrinted) || strings.ContainsAny(address, ";,"):
		return errForm // A separator would make two servers of one, because the client is given them as one text.
	case strings.Contains(address, "@"):
		return fmt.Errorf("%w: access key and secret are settings of their own", errForm)
	case strings.ContainsAny(address, "/?#"):
		return fmt.Errorf("%w, and nothing after it: a path belongs to an address server, which hands out lists of name servers; "+
			"write the name servers themselves", errForm)
	case !strings.HasPrefix(address, "[") && strings.Count(address, ":") > 1:
		return fmt.Errorf("%w: an IPv6 address goes into brackets, such as [::1]:%d", errForm, DefaultPort)
	}
	return nil
}

func notPrinted(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

func hostRule(host string, bracketed bool) error {
	ip, _, _ := strings.Cut(host, "%") // a zone
	switch {
	case host == "":
		return errForm
	case bracketed && (net.ParseIP(ip) == nil || !strings.Contains(ip, ":")):
		return fmt.Errorf("%w: only an IPv6 address goes into brackets", errForm)
	}
	return nil
}

// withPort adds the port to an address without one, where the product has one.
func withPort(host string) (string, error) {
	switch {
	case Version4(host):
		return net.JoinHostPort(host, strconv.Itoa(apsara4Port)), nil
	case Version5(host):
		return net.JoinHostPort(host, strconv.Itoa(apsara5Port)), nil
	case strings.ContainsAny(host, "[]"):
		return "", fmt.Errorf("%w: such as [::1]:%d", errForm, DefaultPort)
	default:
		return "", fmt.Errorf("%w: the port is missing, and is %d unless the name server was told otherwise", errForm, DefaultPort)
	}
}

// ApsaraMQ's endpoints. 4.x: MQ_INST_<account>_<instance>.<region>.mq.aliyuncs.com, or mq-internal; the part before the
// first dot is the instance, and also the namespace (NameServerAddressUtils.INST_ENDPOINT_PATTERN of RocketMQ's Java client).
// 5.x: rmq-cn-<instance>.<region>.rmq.aliyuncs.com, or …-vpc.…: no namespace.
const (
	version4 = `^(MQ_INST_\w+_\w+)\.[\w.-]+(:\d+)?$`
	version5 = `(?i)^(ep-)?rmq-[\w.-]+\.aliyuncs\.com(:\d+)?$`
)

// Version4 reports whether the host, or host:port, is an endpoint of an ApsaraMQ 4.x instance.
func Version4(address string) bool { return Namespace(address) != "" }

// Version5 reports whether the host, or host:port, is an endpoint of an ApsaraMQ 5.x instance.
func Version5(address string) bool { return regexp.MustCompile(version5).MatchString(address) }

// Namespace returns the namespace that an endpoint of an ApsaraMQ 4.x instance names, "" for any other address.
func Namespace(address string) string {
	if m := regexp.MustCompile(version4).FindStringSubmatch(address); m != nil {
		return m[1]
	}
	return ""
}
