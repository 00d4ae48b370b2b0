// Package listener puts package txcheck's markers into rocketmq-client-go: the transaction listener of a service that sends half
// messages itself.
//
//	markers, err := txcheck.OpenMarkers(ctx, txcheck.MarkerOptions{Database: url})
//	l := listener.New(markers, db, listener.Options{Logger: logger})
//	p, err := rocketmq.NewTransactionProducer(l, append(l.ProducerOptions(),
//		producer.WithGroupName("shop"), producer.WithNsResolver(…))...)
//	err = p.Start()
//	err = l.Bind(ctx, p, "orders")             // or brokers would not ask this process what a crashed one left behind
//	answer, err := l.Send(ctx, p, message, func(tx pgx.Tx) error { … })
//
// What the markers promise, and what they cannot, is in package txcheck. What the client needs besides is here: it does not
// retry a half message under the same id, does not take a misspelled topic for another one, hears check-backs after a restart
// before it sends anything, and does not lose its check loop to a panic.
package listener
