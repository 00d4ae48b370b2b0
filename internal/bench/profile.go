package bench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profileTime is how long the relay's processor time is sampled; a shorter drain ends it earlier.
const profileTime = 8 * time.Second

// profile takes a profile of a relay's processor time in the background, and one of its allocations when the returned
// function is called, which waits for both. Without the setting it does nothing.
func (w *Bench) profile(ctx context.Context, p *place, r *relay) (finish func() error) {
	if !w.cfg.Profile || w.running == warmingUp {
		return func() error { return nil }
	}
	name := strings.NewReplacer(" ", "-", "/", "-").Replace(w.running)
	save := func(what, path string) error {
		body, err := r.get(ctx, path)
		if err != nil {
			return err
		}
		file := filepath.Join(w.cfg.Dir, name+"."+what+".pprof")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			return fmt.Errorf("write a profile: %w", err)
		}
		w.log.LogAttrs(ctx, slog.LevelInfo, "profile", slog.String("file", file), slog.String("schema", p.schema))
		return nil
	}
	done := make(chan error, 1)
	go func() {
		done <- save("cpu", fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(profileTime.Seconds())))
	}()
	return func() error {
		if err := save("allocs", "/debug/pprof/allocs"); err != nil {
			return err
		}
		return <-done
	}
}
