package listener_test

import "go.uber.org/goleak"

const officialModule = "github.com/apache/rocketmq-client-go/v2"

// leaksOfTheOfficialClient ignores what rocketmq-client-go leaves behind after Shutdown, and nothing else:
//
//   - the loop that delivers check-backs waits for ever on a channel that is never closed;
//   - four schedules sleep once, for 10 s at most, before they look whether the client was shut down;
//   - a check-back that came during shutdown waits for that loop;
//   - a cache of pending request-reply calls is made when the package is loaded, with a janitor;
//   - the connections to name servers are never closed; their readers end with the read timeout, 60 s.
func leaksOfTheOfficialClient() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction(officialModule + "/producer.(*transactionProducer).checkTransactionState"),
		goleak.IgnoreAnyFunction(officialModule + "/internal.(*rmqClient).Start.func1.1"),
		goleak.IgnoreAnyFunction(officialModule + "/internal.(*rmqClient).Start.func1.2"),
		goleak.IgnoreAnyFunction(officialModule + "/internal.(*rmqClient).Start.func1.3"),
		goleak.IgnoreAnyFunction(officialModule + "/internal.(*rmqClient).Start.func1.4"),
		goleak.IgnoreAnyFunction(officialModule + "/internal.GetOrNewRocketMQClient.func2"),
		goleak.IgnoreAnyFunction(officialModule + "/internal/remote.(*remotingClient).receiveResponse"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"),
	}
}
