package outbox

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Validate checks messages against the limits of RocketMQ, which [Write] does itself. It returns nil or an *[InvalidError]
// with every fault of every message. Whether a topic exists, and whether its type allows DeliverAt, only the relay knows.
//
// The limits are those of profile apache-5; [Rules] know others.
func Validate(messages ...Message) error { return Rules{}.Validate(messages...) }

// checker collects the faults of one message.
type checker struct {
	message int
	m       *Message
	limits  Limits
	kind    TopicType
	faults  []Fault
}

func (c *checker) check() {
	c.topic()
	c.tag()
	c.keys()
	c.orderingKey()
	c.dedupKey()
	c.headers()
	c.properties()
	c.payload()
	c.times()
}

func (c *checker) fault(kind Kind, field, value, rule string) {
	c.faults = append(c.faults, Fault{Message: c.message, Field: field, Value: value, Kind: kind, Rule: rule})
}

// over reports a value that is over a limit of the profile.
func (c *checker) over(kind Kind, field, value, rule string, limit int64) {
	c.faults = append(c.faults, Fault{
		Message: c.message, Field: field, Value: value, Kind: kind, Rule: rule, Limit: limit, Profile: c.limits.Profile,
	})
}

func (c *checker) topic() {
	t := c.m.Topic
	bad := func(rule string) { c.fault(KindBadTopic, "topic", quote(t), rule) }
	if t == "" {
		bad("must not be empty")
		return
	}
	if most := c.limits.Topic.Value; int64(len(t)) > most {
		c.over(KindBadTopic, "topic", quote(t), fmt.Sprintf("must be at most %d bytes long, is %d", most, len(t)), most)
	}
	switch lettersOnly := c.limits.TopicLetters.Value != 0; {
	case strings.ContainsFunc(t, func(r rune) bool { return !topicRune(r) }):
		bad("must consist of a-z, A-Z, 0-9, '_', '-', '%' and '|'")
	case lettersOnly && strings.ContainsAny(t, "%|"):
		c.faults = append(c.faults, Fault{
			Message: c.message, Field: "topic", Value: quote(t), Kind: KindBadTopic, Rule: "must consist of a-z, A-Z, 0-9, '_' and '-'", Profile: c.limits.Profile,
		})
	}
	if reservedTopics[t] || hasPrefix(t, reservedTopicPrefixes) || c.limits.TopicLetters.Value != 0 && strings.HasSuffix(t, "_REPLY_TOPIC") {
		bad("is reserved by RocketMQ")
	}
}

func topicRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-%|", r)
}

func (c *checker) tag() {
	t := c.m.Tag
	c.text("tag", t)
	if strings.Contains(t, "|") {
		c.fault(KindBadProperties, "tag", quote(t), "must not contain '|', which means \"or\" in a consumer's filter")
	}
	if t != strings.TrimSpace(t) {
		c.fault(KindBadProperties, "tag", quote(t), "must not begin or end with white space, which a consumer's filter drops")
	}
}

func (c *checker) keys() {
	for i, k := range c.m.Keys {
		if k == "" {
			c.fault(KindBadProperties, keysField(i), quote(k), "must not be empty")
		}
		c.key(keysField(i), k)
	}
}

// keysField is called for every key of every row that the relay reads: no Sprintf.
func keysField(i int) string { return "keys[" + strconv.Itoa(i) + "]" }

func (c *checker) dedupKey() { c.key("dedup_key", c.m.DedupKey) }

// key checks what becomes a part of property KEYS.
func (c *checker) key(field, k string) {
	c.text(field, k)
	if strings.Contains(k, " ") {
		c.fault(KindBadProperties, field, quote(k), "must not contain a space, which separates keys")
	}
}

func (c *checker) orderingKey() {
	k := c.m.OrderingKey
	c.text("ordering_key", k)
	if most := c.limits.OrderingKey.Value; int64(len(k)) > most {
		c.over(KindBadProperties, "ordering_key", quote(k), fmt.Sprintf("must be at most %d bytes long, is %d", most, len(k)), most)
	}
}

// text checks a property's value.
func (c *checker) text(field, s string) {
	if rule, where := textFault(s); rule != "" {
		c.fault(KindBadProperties, field, quote(s), rule+": "+where)
	}
}

func (c *checker) headers() {
	for _, name := range slices.Sorted(maps.Keys(c.m.Headers)) {
		c.header(name, c.m.Headers[name])
	}
}

func (c *checker) header(name, value string) {
	bad := func(part, rule string) { c.fault(KindBadHeaders, "headers["+quote(name)+"]", part, rule) }
	if name == "" {
		bad("name", "must not be empty")
	}
	if rule, where := textFault(name); rule != "" {
		bad("name", rule+": "+where)
	}
	if reservedHeaders[name] || hasPrefix(name, reservedHeaderPrefixes) {
		bad("name", "is reserved by RocketMQ or the relay")
	}
	if value == "" {
		bad("value", "must not be empty: RocketMQ drops such a property")
	}
	if rule, where := textFault(value); rule != "" {
		bad("value", rule+": "+where)
	}
}

func (c *checker) properties() {
	if n, most := propertyBytes(c.m), c.limits.Properties.Value; int64(n) > most {
		c.over(KindBadProperties, "properties", fmt.Sprintf("%d bytes", n),
			fmt.Sprintf("must be at most %d bytes in all, with those of the relay", most), most)
	}
	if n, most := userPropertyBytes(c.m), c.limits.HeaderProperties.Value; most != 0 && int64(n) > most {
		c.over(KindBadProperties, "headers", fmt.Sprintf("%d bytes", n),
			fmt.Sprintf("must be at most %d bytes in all, with the user properties of the relay", most), most)
	}
}

func (c *checker) payload() {
	kind := c.kind
	if kind == AnyTopic && !c.m.DeliverAt.IsZero() {
		kind = DelayTopic // no other takes it
	}
	most := c.limits.PayloadOf(kind).Value
	switch n := len(c.m.Payload); {
	case n == 0:
		c.fault(KindBodyEmpty, "payload", "0 bytes", "must not be empty")
	case int64(n) > most:
		rule := fmt.Sprintf("must be at most %d bytes", most)
		if most != c.limits.Payload.Value {
			rule += fmt.Sprintf(" on topics of type %s", kind)
		}
		c.over(KindBodyTooLarge, "payload", fmt.Sprintf("%d bytes", n), rule, most)
	}
}

// times: how far ahead deliver_at is does not matter, because the relay keeps the row until the broker takes the delay.
func (c *checker) times() {
	if c.m.OrderingKey == "" {
		return
	}
	if !c.m.AvailableAt.IsZero() {
		c.fault(KindNotAllowed, "available_at", quote(timestamp(c.m.AvailableAt)),
			"must not be set together with ordering_key: later messages of the key would overtake this one")
	}
	if !c.m.DeliverAt.IsZero() {
		c.fault(KindNotAllowed, "deliver_at", quote(timestamp(c.m.DeliverAt)),
			"must not be set together with ordering_key: RocketMQ keeps no order on delay topics")
	}
}

// textFault says what is wrong with a property's name or value, and where; "" if nothing is. RocketMQ separates properties
// by 0x01 and 0x02 and PostgreSQL cannot store 0x00; the other control characters only ever come in by mistake.
func textFault(s string) (rule, where string) {
	if !utf8.ValidString(s) {
		i := 0
		for r, size := utf8.DecodeRuneInString(s); r != utf8.RuneError || size != 1; r, size = utf8.DecodeRuneInString(s[i:]) {
			i += size
		}
		return "must be valid UTF-8", fmt.Sprintf("0x%02x at byte %d", s[i], i)
	}
	for i := range len(s) {
		if s[i] < 0x20 {
			return "must not contain control characters", fmt.Sprintf("0x%02x at byte %d", s[i], i)
		}
	}
	return "", ""
}

func hasPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// quote quotes a value for people, cut to 64 bytes.
func quote(s string) string {
	const most = 64
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%q…", s[:cut])
}
