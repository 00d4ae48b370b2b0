package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbox-relay/outbox-relay/examples/orders"
	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
)

// soldOut is the item nobody can have: orders for it are rolled back after their message was written.
const soldOut = "sold-out"

// shop lets customers order at a steady rate.
type shop struct {
	service   *orders.Service
	audit     *audit.Audit
	customers []string
	rollback  float64
}

// workers is how many orders are placed at the same time, at most.
const workers = 12

func customerNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("customer-%03d", i+1)
	}
	return names
}

// items are many, so that orders do not all wait for one row of the stock.
const items = 20

func stock() map[string]int64 {
	amounts := map[string]int64{soldOut: 0}
	for i := range items {
		amounts[item(i)] = 1 << 40
	}
	return amounts
}

func item(i int) string { return fmt.Sprintf("item-%02d", i+1) }

// run places orders for as long as duration says, or until ctx ends. Orders that have begun are finished.
func (s *shop) run(ctx context.Context, rate float64, duration time.Duration) error {
	due := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(due)
		return clock(ctx, rate, duration, due)
	})
	for range workers {
		group.Go(func() error {
			for n := range due {
				if err := s.order(context.WithoutCancel(ctx), fmt.Sprintf("order-%06d", n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// clock sends 1, 2, … at the given rate; what could not be sent in time is sent late, not dropped.
func clock(ctx context.Context, rate float64, duration time.Duration, due chan<- int) error {
	begin := time.Now()
	for n := 1; ; n++ {
		at := time.Duration(float64(n) / rate * float64(time.Second))
		if at > duration {
			return nil
		}
		select {
		case <-time.After(time.Until(begin.Add(at))):
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case due <- n:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// first lets every customer order once.
func (s *shop) first(ctx context.Context) error {
	for _, customer := range s.customers {
		order := orders.Order{ID: "first-of-" + customer, Customer: customer, Item: item(0), Cents: 100}
		if err := s.place(ctx, order); err != nil {
			return err
		}
	}
	return nil
}

// order lets some customer order something, which may be sold out.
func (s *shop) order(ctx context.Context, id string) error {
	order := orders.Order{
		ID:       id,
		Customer: s.customers[rand.IntN(len(s.customers))],
		Item:     item(rand.IntN(items)),
		Cents:    100 + rand.Int64N(10_000),
	}
	if rand.Float64() < s.rollback {
		order.Item = soldOut
	}
	return s.place(ctx, order)
}

// place places an order and tells the audit how it ended.
func (s *shop) place(ctx context.Context, order orders.Order) error {
	number, err := s.service.Place(ctx, order)
	switch {
	case err == nil:
		s.audit.Committed(order.ID, order.Customer, number, time.Now())
	case errors.Is(err, orders.ErrSoldOut):
		s.audit.RolledBack(order.ID)
	default:
		return err
	}
	return nil
}
