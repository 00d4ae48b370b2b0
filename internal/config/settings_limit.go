package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// Compression says which bodies are compressed.
type Compression struct {
	Above int64 // bytes; 0 = none
	Level int
}

func limitSettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "limits.profile", Default: string(outbox.Apache5),
			Doc: "Which kind of RocketMQ it is: what a message may be depends on it, see limits.md. A row over a limit is a dead letter before " +
				"anything is sent.",
		}, profile(), func(c *Config) *outbox.Profile { return &c.Profile }),
		define(Setting{
			Key: "compression.above", Default: "0", Rule: "0, or 1KiB to 4MiB",
			Doc: "Bodies larger than this are compressed (zlib), if it makes them smaller; consumers unpack them unasked. 0: none are.",
		}, size(), func(c *Config) *int64 { return &c.Compression.Above },
			rule[int64]{text: "0, or 1KiB to 4MiB", ok: func(n int64) bool { return n == 0 || n >= 1<<10 && n <= 4<<20 }}),
		define(Setting{
			Key: "compression.level", Default: "5",
			Doc: "How hard it is tried: 1 is fast, 9 is small.",
		}, integer(), func(c *Config) *int { return &c.Compression.Level }, between(1, 9, strconv.Itoa)),
	}
}

func profile() kind[outbox.Profile] {
	names := make([]string, len(outbox.Profiles()))
	for i, p := range outbox.Profiles() {
		names[i] = string(p)
	}
	parse := func(s string) (outbox.Profile, error) {
		p := outbox.Profile(s)
		if _, err := p.Limits(); err != nil || s == "" {
			return "", errors.New("unknown")
		}
		return p, nil
	}
	return scalar("profile", "one of "+strings.Join(names, ", "), parse, func(p outbox.Profile) string { return string(p) })
}

// checkProfile holds the names in the settings to the limits of the profile.
func (l *loader) checkProfile(c *Config) {
	limits, err := c.Profile.Limits()
	if err != nil || l.broken["limits.profile"] {
		return
	}
	for i, topic := range c.Topics {
		var invalid *outbox.InvalidError
		err := outbox.Rules{Profile: c.Profile}.Validate(outbox.Message{Topic: topic.Name, Payload: []byte("x")})
		if l.broken["topics"] || !errors.As(err, &invalid) {
			continue
		}
		path := fmt.Sprintf("[%d].name", i)
		l.mistakes = append(l.mistakes, Mistake{
			Source: l.sourceOf("topics", path), Key: "topics" + path, Value: show(topic.Name, false),
			Rule: fmt.Sprintf("%s (limits.profile is %s)", invalid.Faults[0].Rule, c.Profile),
		})
	}
	if most := limits.Group.Value; !l.broken["group"] && int64(len(c.Group)) > most {
		l.mistakes = append(l.mistakes, Mistake{
			Source: l.source("group"), Key: "group", Value: show(c.Group, false),
			Rule: fmt.Sprintf("must be at most %d bytes long (limits.profile is %s)", most, c.Profile),
		})
	}
}
