package config

import "slices"

// Reloadable returns the settings that a relay takes over while it runs; the others need a restart.
func Reloadable() []string {
	return []string{
		"topics", "batch.rows", "batch.bytes", "batch.in_flight", "poll.busy", "poll.idle",
		"retry.initial", "retry.factor", "retry.jitter", "retry.max", "compression.above",
		"compression.level", "log.level",
	}
}

// Changed returns the settings that differ, in the order of the documentation. Secrets count, though they are never shown.
func Changed(was, now *Config) []string {
	var keys []string
	for _, s := range Settings() {
		if !s.same(was, now) {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// With returns a copy of c in which the named settings are those of next.
func (c *Config) With(next *Config, keys []string) *Config {
	mixed := *c
	for _, s := range Settings() {
		if slices.Contains(keys, s.Key) {
			s.take(&mixed, next)
		}
	}
	return &mixed
}
