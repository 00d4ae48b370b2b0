package outbox

// userPropertyBytes returns how much room the names and values of the user properties take: headers, and those of the relay.
func userPropertyBytes(m *Message) int {
	dedup := len(m.DedupKey)
	if dedup == 0 {
		dedup = uuidBytes + 1 + idBytes
	}
	n := len("outbox-origin") + uuidBytes + len("outbox-id") + idBytes + len("outbox-dedup-key") + dedup
	for name, value := range m.Headers {
		n += len(name) + len(value)
	}
	return n
}

// propertyBytes returns how much room the message's properties take at most in a half message of the relay.
func propertyBytes(m *Message) int {
	dedup := len(m.DedupKey)
	if dedup == 0 {
		dedup = uuidBytes + 1 + idBytes // <origin>-<row id>
	}
	keys := dedup
	for _, k := range m.Keys {
		keys += 1 + len(k)
	}
	n := relayPropertyBytes
	n += len("KEYS") + keys + separatorBytes
	n += len("outbox-dedup-key") + dedup + separatorBytes
	if m.Tag != "" {
		n += len("TAGS") + len(m.Tag) + separatorBytes
	}
	if m.OrderingKey != "" {
		// Under both names: client-go reads the first, Java and the 5.x proxies the second.
		n += len("SHARDING_KEY") + len(m.OrderingKey) + separatorBytes
		n += len("__SHARDINGKEY") + len(m.OrderingKey) + separatorBytes
	}
	for name, value := range m.Headers {
		n += len(name) + len(value) + separatorBytes
	}
	return n
}
