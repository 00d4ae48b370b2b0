package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Reload is how settings are read again while the relay runs. The zero value never does.
type Reload struct {
	// Signal asks for it; values that come while it is under way count as one if the channel's buffer is 1.
	Signal <-chan os.Signal
	// Load reads all sources anew. Its error is every mistake.
	Load func() (*config.Config, error)
	// Level, if not nil, is what is logged from now on.
	Level *slog.LevelVar
}

// betweenSessions is how long a relay may take to finish what is under way and open another session: it stays ready meanwhile.
const betweenSessions = 5 * time.Second

// A takeover puts changed settings into effect without a session of its own.
type takeover struct {
	keys []string // of the settings
	take func(ctx context.Context, next *config.Config) error
}

// onReload has settings taken over that are not the relay's, such as credentials that were read from files. take is called
// whenever one of them has changed; its error is logged, and the change then counts as not made.
func (a *app) onReload(take func(ctx context.Context, next *config.Config) error, keys ...string) {
	a.takeovers = append(a.takeovers, takeover{keys, take})
}

// reloadSettings reads the settings again and takes over what can be. With a mistake in them nothing changes.
func (a *app) reloadSettings(ctx context.Context, r *relay.Relay) {
	next, err := a.reload.Load()
	if err != nil {
		var mistakes config.Mistakes
		if !errors.As(err, &mistakes) {
			a.log.ErrorContext(ctx, "settings not read", slog.String("error", OneLine(err)), slog.Bool("alert", true))
		}
		for _, m := range mistakes {
			a.log.ErrorContext(ctx, "mistake in the settings", slog.String("mistake", m.String()))
		}
		a.log.ErrorContext(ctx, "settings not reloaded: those from before hold", slog.Int("mistakes", len(mistakes)), slog.Bool("alert", true))
		return
	}
	var taken, restart []string
	for _, key := range config.Changed(a.now, next) {
		switch {
		case slices.Contains(config.Reloadable(), key), a.takes(ctx, key, next):
			taken = append(taken, key)
		default:
			restart = append(restart, key)
		}
	}
	a.now = a.now.With(next, taken)
	for _, key := range restart {
		a.log.WarnContext(ctx, "setting changed, but it needs a restart: the value from before holds", slog.String("setting", key))
	}
	if err := a.examine(ctx, &examination{brokers: true}); err != nil { // they may have been set otherwise
		a.log.ErrorContext(ctx, "exactly-once delivery cannot be promised", slog.String("error", OneLine(err)), slog.Bool("alert", true))
	}
	if slices.ContainsFunc(taken, func(key string) bool { return slices.Contains(config.Reloadable(), key) && key != "log.level" }) {
		a.bindAdded(ctx)
		a.retune(ctx, r)
	}
	a.log.InfoContext(ctx, "settings reloaded", slog.String("changed", strings.Join(taken, ", ")), slog.String("need_restart", strings.Join(restart, ", ")),
		slog.Any("topics", topicNames(topicsOf(a.now))))
	if a.reload.Level != nil {
		a.reload.Level.Set(a.now.Log.Level)
	}
}

// takes reports whether a setting is one of a takeover that succeeds.
func (a *app) takes(ctx context.Context, key string, next *config.Config) bool {
	for _, t := range a.takeovers {
		if !slices.Contains(t.keys, key) {
			continue
		}
		if err := t.take(ctx, next); err != nil {
			a.log.ErrorContext(ctx, "setting not taken over", slog.String("setting", key), slog.String("error", OneLine(err)), slog.Bool("alert", true))
			return false
		}
		return true
	}
	return false
}

// bindAdded binds the topics of the settings that are not bound yet. What does not work is tried again later: the others do not
// wait for it.
func (a *app) bindAdded(ctx context.Context) (bound bool) {
	for _, topic := range topicsOf(a.now) {
		if a.bound[topic.Name] {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, oneTry)
		err := a.bindOne(ctx, topic.Name)
		cancel()
		if err == nil {
			a.bound[topic.Name], bound = true, true
			delete(a.unbound, topic.Name)
			a.log.InfoContext(ctx, "topic bound", slog.String("topic", topic.Name))
			continue
		}
		if text := OneLine(err); a.unbound[topic.Name] != text {
			a.unbound[topic.Name] = text
			a.log.ErrorContext(ctx, "topic not bound: its rows wait", slog.String("topic", topic.Name), slog.String("error", text),
				slog.Bool("alert", true), slog.String("again_in", examineEvery.String()))
		}
	}
	return bound
}

// bindOne does for one topic what the start does for all: route, session, and whether the promise can be kept on it.
func (a *app) bindOne(ctx context.Context, topic string) error {
	if err := a.client.Bind(ctx, []string{topic}); err != nil {
		return err
	}
	e := examination{topics: []string{topic}}
	if err := a.examine(ctx, &e); err != nil {
		return err
	}
	a.unexamined.topics = append(a.unexamined.topics, e.topics...)
	return nil
}

// bindLater tries again what could not be bound.
func (a *app) bindLater(ctx context.Context, r *relay.Relay) {
	if len(a.unbound) > 0 && time.Since(a.bindTried) > examineEvery {
		if a.bindAdded(ctx) {
			a.retune(ctx, r)
		}
		a.bindTried = time.Now()
	}
}

// retune gives the relay the settings as they are now, with the topics that are bound.
func (a *app) retune(ctx context.Context, r *relay.Relay) {
	wanted := topicsOf(a.now)
	named := make(map[string]bool)
	for _, topic := range wanted {
		named[topic.Name] = true
	}
	for name := range a.unbound {
		if !named[name] {
			delete(a.unbound, name)
		}
	}
	for name := range a.bound {
		if !named[name] {
			delete(a.bound, name) // bound anew, and examined, should it come back
		}
	}
	c := a.relayConfigOf(a.now)
	c.Topics = slices.DeleteFunc(c.Topics, func(t relay.Topic) bool { return !a.bound[t.Name] })
	if len(c.Topics) == 0 {
		a.log.ErrorContext(ctx, "none of the topics could be bound: those from before hold", slog.Bool("alert", true))
		return
	}
	a.retuned = time.Now()
	if err := r.Reload(c); err != nil {
		a.log.ErrorContext(ctx, "settings not taken over by the relay", slog.String("error", OneLine(err)), slog.Bool("alert", true))
	}
}
