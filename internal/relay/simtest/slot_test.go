package simtest

import (
	"fmt"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// slot is a place where one relay after the other lives, as in a pod that is restarted.
type slot struct {
	w        *world
	name     string
	instance string
	cfg      relay.Config
	now      *life // nil while nobody lives
}

// slots draws how many relays there are, under which names, and their settings.
func (w *world) slots() []*slot {
	slots := make([]*slot, 1+w.chance.below(3))
	cfg := w.settings()
	for i := range slots {
		slots[i] = &slot{w: w, name: fmt.Sprintf("relay-%d", i), instance: fmt.Sprintf("instance-%d", i), cfg: cfg}
		if i > 0 && w.chance.hit(0.25) {
			slots[i].instance = slots[0].instance
		}
	}
	return slots
}

func (w *world) settings() relay.Config {
	cfg := relay.DefaultConfig()
	cfg.BatchRows = []int{3, 16, 64}[w.chance.below(3)]
	cfg.InFlight = 1 + w.chance.below(4)
	cfg.PollBusy, cfg.PollIdle = 5*time.Millisecond, 250*time.Millisecond
	cfg.Window = []time.Duration{6 * time.Second, 10 * time.Second}[w.chance.below(2)]
	cfg.Retry.Max = 5 * time.Second
	cfg.Topics = topics()
	return cfg
}

// run lets one relay after the other live until the time is over. The last one lives on.
func (s *slot) run(until time.Time) {
	c := s.w.chance
	for n := 0; time.Now().Before(until); n++ {
		s.now = s.w.start(fmt.Sprintf("%s.%d", s.name, n), s.instance, s.cfg)
		s.now.end(c.between(0, 20*time.Second))
		if !time.Now().Before(until) {
			return
		}
		if s.hurt() {
			continue
		}
		time.Sleep(c.between(0, 5*time.Second))
	}
}

// hurt freezes, kills or stops the life. True if the next one begins at once.
func (s *slot) hurt() (atOnce bool) {
	c, l := s.w.chance, s.now
	for c.hit(0.5) {
		l.freeze()
		time.Sleep(c.between(time.Second, longestTravel))
		if c.hit(0.2) {
			break // killed while frozen
		}
		l.thaw()
		time.Sleep(c.between(0, 5*time.Second))
	}
	if c.hit(0.3) {
		l.thaw()
		s.w.trace.add("%s is asked to stop", l.name)
		l.stop()
		if l.end(c.between(0, 10*time.Second)) {
			return true
		}
	}
	l.kill()
	<-l.ended
	return c.hit(0.5)
}

// survivors thaws the last lives, of each instance one, and kills the others: two of one name replace each other for ever.
func (w *world) survivors(slots []*slot) []*life {
	var last []*life
	names := make(map[string]bool)
	for _, s := range slots {
		if s.now == nil || s.now.isDead() || isClosed(s.now.ended) {
			continue
		}
		s.now.thaw()
		if names[s.instance] {
			s.now.kill()
			<-s.now.ended
			continue
		}
		names[s.instance] = true
		last = append(last, s.now)
	}
	if len(last) == 0 {
		last = append(last, w.start("relay-last", "instance-last", slots[0].cfg))
	}
	return last
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
