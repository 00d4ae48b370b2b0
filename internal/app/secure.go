package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
)

// rereadEvery is how often files with credentials are looked at.
const rereadEvery = 2 * time.Second

// secure adds credentials and TLS to the options of a client.
func secure(o *rocketmq.Options, cfg *config.Config) {
	o.Credentials = credentials(&cfg.Credentials)
	if t := cfg.TLS; t.Enabled {
		o.TLS = &rocketmq.TLS{
			CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile, ServerName: t.ServerName, NameServers: t.NameServers,
		}
	}
}

func credentials(c *config.Credentials) rocketmq.Credentials {
	return rocketmq.Credentials{AccessKey: c.AccessKey, SecretKey: c.SecretKey.Reveal(), SecurityToken: c.SecurityToken.Reveal()}
}

// examineAccess looks whether the brokers let us do what the relay must do. Who does not answer is asked again later.
func (a *app) examineAccess(ctx context.Context, e *examination) error {
	if len(e.access) == 0 {
		return nil
	}
	var delayed []string
	for _, t := range a.topics() {
		if t.Type == relay.TypeDelay {
			delayed = append(delayed, t.Name)
		}
	}
	err := a.client.CheckAccess(ctx, e.access, delayed...)
	switch {
	case err == nil:
		e.access = nil
	case errors.Is(err, rocketmq.ErrAccess):
		return mistake(err)
	default:
		a.log.DebugContext(ctx, "access not examined yet", slog.String("error", OneLine(err)))
	}
	return nil
}

// rereadSoon has files with credentials read now, where there are any: what is in the settings themselves is read at the start.
func (a *app) rereadSoon(_ context.Context, next *config.Config) error {
	if !a.cfg.Credentials.InFiles() || !next.Credentials.InFiles() {
		return errors.New("credentials that are given in the settings, and not in files, are read at the start only")
	}
	select {
	case a.reread <- struct{}{}:
	default: // somebody has asked already
	}
	return nil
}

// A rereader keeps the client's credentials those that the files hold.
type rereader struct {
	log   *slog.Logger
	set   func(rocketmq.Credentials)
	now   config.Credentials
	wrong string // why they cannot be read, "" if they can
}

// rereadCredentials looks at the files until ctx is done, every few seconds and when somebody asks for it.
func (a *app) rereadCredentials(ctx context.Context) error {
	if !a.cfg.Credentials.InFiles() {
		return nil
	}
	r := &rereader{log: a.log, set: a.client.SetCredentials, now: a.cfg.Credentials}
	tick := time.NewTicker(rereadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-a.reread:
		}
		r.reread(ctx)
	}
}

// reread reads the files twice: while they are being replaced, they may hold halves of two pairs.
func (r *rereader) reread(ctx context.Context) {
	next, err := r.now.Reread()
	if err == nil {
		var again config.Credentials
		if again, err = r.now.Reread(); err == nil && credentials(&again) != credentials(&next) {
			return // they are being replaced at this moment
		}
	}
	if err != nil {
		if r.wrong != err.Error() {
			r.log.WarnContext(ctx, "credentials cannot be read again; those of before are kept", slog.String("error", err.Error()))
		}
		r.wrong = err.Error()
		return
	}
	r.wrong = ""
	if credentials(&next) == credentials(&r.now) {
		return
	}
	r.set(credentials(&next))
	r.now = next
	r.log.InfoContext(ctx, "credentials were replaced", slog.String("access_key", next.AccessKey))
}
