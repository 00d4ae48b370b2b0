package rocketmq

import (
	"fmt"
	"regexp"
	"strings"
)

// A denial is an answer that is about who we are or what we may do. With ACL 2.0, from RocketMQ 5.3 on, its code is 16, which
// brokers also give where a topic or the broker itself may not be written; with ACL 1.0, of before, it is 1 and an exception.

// What brokers say (DefaultAuthenticationHandler, AclAuthorizationHandler of 5.3; PlainPermissionManager, PlainPermissionChecker
// of 5.1), in lower case.
const (
	saidException = "aclexception:"

	saidNoUser    = "username cannot be null"
	saidNoFields  = "authentication field is null"
	saidSignature = "check signature failed"
	saidUnknown   = "is not found"
	saidDisabled  = "is disabled"
	saidNoRight   = "has no permission to access"

	saidUnknownOld = "no acl config for"
)

// isDenial reports whether an answer is a denial.
func isDenial(code int, remark string) bool {
	remark = strings.ToLower(remark)
	switch code {
	case codeSystemError:
		return strings.Contains(remark, saidException)
	case codeNoPermission:
		for _, said := range []string{saidNoUser, saidNoFields, saidSignature, saidNoRight, "user:"} {
			if strings.Contains(remark, said) {
				return true
			}
		}
	}
	return false
}

// deniedResource returns the resource that a broker refuses access to, as ACL 2.0 writes it; "" if it is about something else.
func deniedResource(remark string) string {
	if found := regexp.MustCompile(saidNoRight + ` (\S+) from`).FindStringSubmatch(remark); found != nil {
		return found[1]
	}
	if found := regexp.MustCompile(`(?i)no (?:default )?permission for (topic|group):([^\s,]+)`).FindStringSubmatch(remark); found != nil {
		return strings.ToUpper(found[1][:1]) + found[1][1:] + ":" + found[2]
	}
	return ""
}

// unauthenticated says what a broker has against our credentials, and what mends it.
func (c *Client) unauthenticated(address, remark string) string {
	user, lower := c.keys.Get().AccessKey, strings.ToLower(remark)
	change, create := "updateUser", "createUser"
	flags := fmt.Sprintf("-b %s -u %s -p SECRET", address, user)
	if strings.Contains(lower, saidException) {
		change, create, flags = "updateAclConfig", "updateAclConfig", fmt.Sprintf("-b %s -a %s -s SECRET", address, user)
	}
	switch {
	case user == "":
		return fmt.Sprintf("asks for credentials: set credentials.access_key and credentials.secret_key, or the files that hold them (%s)", remark)
	case strings.Contains(lower, saidSignature):
		return fmt.Sprintf("does not accept credentials.secret_key of the user %s: correct it, or set it on the broker: mqadmin %s %s (%s)",
			user, change, flags, remark)
	case strings.Contains(lower, saidUnknown), strings.Contains(lower, saidUnknownOld):
		return fmt.Sprintf("does not know the user %s of credentials.access_key: correct it, or create the user: mqadmin %s %s (%s)",
			user, create, flags, remark)
	case strings.Contains(lower, saidDisabled):
		return fmt.Sprintf("has disabled the user %s of credentials.access_key: mqadmin updateUser -b %s -u %s -s enable (%s)",
			user, address, user, remark)
	default:
		return fmt.Sprintf("does not accept the user %s of credentials.access_key: %s", user, remark)
	}
}
