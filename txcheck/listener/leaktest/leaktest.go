// Package leaktest names the goroutines that the official RocketMQ client leaves behind after Shutdown, for tests that check
// for leaks. Everything else must be gone.
package leaktest

import "go.uber.org/goleak"

const module = "github.com/apache/rocketmq-client-go/v2"

// Known ignores what rocketmq-client-go leaks, and nothing else:
//
//   - the loop that delivers check-backs waits for ever on a channel that is never closed;
//   - four schedules sleep once, for 10 s at most, before they look whether the client was shut down;
//   - a check-back that came during shutdown waits for that loop;
//   - a cache of pending request-reply calls is made when the package is loaded, with a janitor;
//   - the connections to name servers are never closed; their readers end with the read timeout, 60 s.
func Known() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction(module + "/producer.(*transactionProducer).checkTransactionState"),
		goleak.IgnoreAnyFunction(module + "/internal.(*rmqClient).Start.func1.1"),
		goleak.IgnoreAnyFunction(module + "/internal.(*rmqClient).Start.func1.2"),
		goleak.IgnoreAnyFunction(module + "/internal.(*rmqClient).Start.func1.3"),
		goleak.IgnoreAnyFunction(module + "/internal.(*rmqClient).Start.func1.4"),
		goleak.IgnoreAnyFunction(module + "/internal.GetOrNewRocketMQClient.func2"),
		goleak.IgnoreAnyFunction(module + "/internal/remote.(*remotingClient).receiveResponse"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"),
	}
}
