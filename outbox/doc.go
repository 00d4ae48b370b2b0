// Package outbox writes messages for RocketMQ into the outbox table, inside the application's own transaction.
//
//	tx, err := pool.Begin(ctx)
//	...
//	// business statements on tx
//	err = outbox.Write(ctx, tx, outbox.Message{
//		Topic:       "orders",
//		OrderingKey: customerID,
//		Payload:     payload,
//	})
//	...
//	err = tx.Commit(ctx)
//
// A message whose transaction commits reaches its topic through the relay; one whose transaction rolls back never does.
// [Write] takes a pgx.Tx and [WriteSQL] a *sql.Tx: a pool or a bare connection does not compile, because a message that is
// written outside the business transaction promises nothing.
//
// The table is found through the search path; a [Writer] names a schema. The role needs INSERT on the table and nothing
// else. Nothing requires this package: a plain INSERT INTO outbox (topic, payload) VALUES (…) from any language does the
// same. What it adds is that a message RocketMQ would refuse is refused here, in the caller's hands, with every fault named
// (see [InvalidError] and limit.go), instead of ending as a dead letter later; and that the caller's trace goes along.
//
// # Order
//
// Messages with the same topic and ordering key arrive in the order of their row ids, and those of one call in the order of
// the call. Ids are given out when rows are inserted, not when they are committed: two transactions that write the same key
// at the same time must take turns, for example by locking the customer's row before the first Write. Messages without an
// ordering key have no order.
package outbox
