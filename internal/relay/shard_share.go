package relay

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"time"
)

// Dividing the shards: every relay looks at the lease table by itself, takes what is free up to its share, and gives up what
// is above it. Nobody tells another what to do, and nobody takes what another holds.

const shardCount = 64

// share divides the shards with the other relays until the session is over. While this one has less than its share it looks
// more often: rows of a shard that changes hands wait for it.
func (s *session) share(work context.Context) error {
	for {
		st, err := s.standing(work)
		if err != nil {
			return err
		}
		if st.Expired { // the renewal deletes them, and their shards are free
			if err := s.renew(work); err != nil {
				return err
			}
		}
		take, give := st.share()
		switch {
		case give > 0:
			err = s.giveShards(work, pick(st.Owned, give, s.id[0]))
		case take > 0:
			err = s.takeShards(work, pick(st.Free, take, s.id[0]))
		}
		if err != nil {
			return err
		}
		wait := s.cfg.Renew / 12
		switch {
		case st.hungry():
			wait = s.cfg.Renew / 60
		case len(st.Others) == 0: // whoever joins takes nothing from anybody until this one has seen it
			wait = s.cfg.Renew / 6
		}
		if !sleep(work, max(wait, time.Millisecond)) {
			return nil
		}
	}
}

func (s *session) standing(work context.Context) (Standing, error) {
	ctx, cancel := context.WithTimeout(work, s.cfg.Lease-s.cfg.Renew)
	defer cancel()
	st, err := s.store.Standing(ctx, s.id)
	if err != nil {
		return st, fmt.Errorf("look how the shards are divided: %w", err)
	}
	return st, nil
}

// even returns the least and the most that a session owns where all is divided evenly.
func (st Standing) even() (least, most int) {
	n := len(st.Others) + 1
	return shardCount / n, (shardCount + n - 1) / n
}

// share returns how many shards to take or to give up now. Whoever has less than the least comes first.
func (st Standing) share() (take, give int) {
	least, most := st.even()
	own, free, short := bits.OnesCount64(st.Owned), bits.OnesCount64(st.Free), 0
	for _, other := range st.Others {
		short += max(0, least-other)
	}
	switch {
	case own > most:
		return 0, own - most
	case own < least:
		return min(free, least-own), 0
	case free > short:
		return min(free-short, most-own), 0
	case own > least && short > free:
		return 0, 1
	}
	return 0, 0
}

// hungry reports whether shards are on their way to this session.
func (st Standing) hungry() bool {
	least, _ := st.even()
	return bits.OnesCount64(st.Owned) < least
}

// pick returns n of the shards, from one on that differs between sessions: who takes at the same time takes others.
func pick(shards uint64, n int, from byte) (picked uint64) {
	for i := range shardCount {
		bit := uint64(1) << ((int(from) + i) % shardCount)
		if n > 0 && shards&bit != 0 {
			picked |= bit
			n--
		}
	}
	return picked
}

// giveShards gives up shards of this session. Their rows are no longer read; what is under way is awaited, however it ends;
// what is in doubt stays open in the ledger, where the next owner finds it. Only then, when nothing here will write about
// these shards any more, are they nobody's in Postgres.
func (s *session) giveShards(work context.Context, shards uint64) error {
	started := time.Now()
	s.intake.disown(shards)
	if !s.reading.enter(work) {
		return nil
	}
	batches := s.underway.list() // with those of the read that began before
	s.reading.leave()
	for _, b := range batches {
		select {
		case <-b.over:
		case <-work.Done():
			return nil
		}
	}
	doubts, ok := s.resolver.surrender(work, shards)
	if !ok {
		return nil
	}
	s.intake.forget(shards)
	s.cfg.at(PointRelease)
	ctx, cancel := context.WithTimeout(work, takeoverPatience)
	defer cancel()
	if err := s.store.GiveShards(ctx, s.id, shards); err != nil {
		return fmt.Errorf("give shards up: %w", err)
	}
	s.loaded &^= shards
	s.current.Store(&State{Session: s.id, Shards: s.loaded})
	s.log.InfoContext(ctx, "shards given up", slog.Int("shards", bits.OnesCount64(s.loaded)), slog.Int("given", bits.OnesCount64(shards)),
		slog.Int("in_doubt", doubts), slog.Duration("took", time.Since(started)))
	return nil
}
