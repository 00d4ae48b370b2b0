package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// Requests and answers of the remoting protocol (RocketMQ 5.3 RequestCode, ResponseCode).
const (
	reqPullMessage       = 11
	reqCreateTopic       = 17
	reqUpdateConfig      = 25
	reqBrokerConfig      = 26
	reqGetMaxOffset      = 30
	reqEndTransaction    = 37
	reqRoute             = 105
	reqDeleteTopic       = 215
	reqForgetTopic       = 216 // at a name server
	reqSendMessageV2     = 310
	reqSendBatchMessage  = 320
	codeSuccess          = 0
	codeBusy             = 2
	codeNoPermission     = 16
	codePullNotFound     = 19
	codePullRetry        = 20
	requestTimeout       = 10 * time.Second
	topicQueues          = 8
	halfTopic            = "RMQ_SYS_TRANS_HALF_TOPIC"
	readGroup            = "TOOLS_CONSUMER" // every broker has it; nothing is registered by reading with it
	subscriptionInPull   = 4                // PullSysFlag.FLAG_SUBSCRIPTION
	suspendPull          = 2                // PullSysFlag.FLAG_SUSPEND
	transactionPrepared  = 4
	transactionCommitted = 8
)

// newPool makes connections.
func newPool(o remoting.Options) (*remoting.Pool, error) {
	o.Connections = 1
	o.Probe = func(b *remoting.Batch) {
		b.Begin(reqGetMaxOffset)
		b.String("topic", halfTopic)
		b.Int("queueId", 0)
		_ = b.End(nil) // a few bytes: cannot be too large
	}
	return remoting.NewPool(o)
}

// call sends one request to a broker and wants success.
func (w *Bench) call(ctx context.Context, address string, code int, fields ...string) (*remoting.Command, error) {
	return call(ctx, w.pool, address, code, fields...)
}

func call(ctx context.Context, pool *remoting.Pool, address string, code int, fields ...string) (*remoting.Command, error) {
	cmd, err := pool.Call(ctx, address, requestTimeout, func(b *remoting.Batch) error {
		b.Begin(code)
		for i := 0; i < len(fields); i += 2 {
			b.String(fields[i], fields[i+1])
		}
		return b.End(nil)
	})
	switch {
	case err != nil:
	case cmd.Code == codeNoPermission:
		err = fmt.Errorf("it does not let the user of credentials.access_key and credentials.secret_key do this: %s", cmd.Remark())
	case cmd.Code != codeSuccess:
		err = fmt.Errorf("answer %d: %s", cmd.Code, cmd.Remark())
	}
	if err != nil {
		return nil, fmt.Errorf("request %d to %s: %w", code, address, err)
	}
	return cmd, nil
}

// createTopic makes the topic on the brokers and returns when the name server sends clients there.
func (w *Bench) createTopic(ctx context.Context, name, messageType string, brokers []Broker) error {
	for _, b := range brokers {
		if _, err := w.call(ctx, b.Address, reqCreateTopic, "topic", name, "defaultTopic", "TBW102",
			"readQueueNums", fmt.Sprint(topicQueues), "writeQueueNums", fmt.Sprint(topicQueues), "perm", "6",
			"topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false",
			"attributes", "+message.type="+messageType); err != nil {
			return fmt.Errorf("create topic %s on %s: %w", name, b.Name, err)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for {
		route, err := call(ctx, w.servers, w.nameServers()[0], reqRoute, "topic", name)
		if err == nil {
			missing := 0
			for _, b := range brokers {
				if !strings.Contains(string(route.Body), `"`+b.Name+`"`) {
					missing++
				}
			}
			if missing == 0 {
				return nil
			}
			err = fmt.Errorf("%d brokers are not in it yet", missing)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for the route of topic %s: %w", name, err)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// deleteTopic removes the topic from the brokers and from the name servers.
func (w *Bench) deleteTopic(ctx context.Context, name string, brokers []Broker) error {
	for _, b := range brokers {
		if _, err := w.call(ctx, b.Address, reqDeleteTopic, "topic", name); err != nil {
			return fmt.Errorf("delete topic %s on %s: %w", name, b.Name, err)
		}
	}
	for _, server := range w.nameServers() {
		if _, err := call(ctx, w.servers, server, reqForgetTopic, "topic", name); err != nil {
			return fmt.Errorf("delete topic %s at the name server: %w", name, err)
		}
	}
	return nil
}

func (w *Bench) nameServers() []string { return strings.Split(w.cfg.Servers.NameServer, ";") }

// ends returns where the queues of a topic end on one broker.
func (w *Bench) ends(ctx context.Context, topic string, b Broker) ([]int64, error) {
	ends := make([]int64, topicQueues)
	errs := make([]error, topicQueues)
	batch := w.pool.Batch(topicQueues, requestTimeout, func(i int, r remoting.Reply) {
		if errs[i] = r.Err; r.Err == nil {
			ends[i], errs[i] = r.Response.ExtInt("offset")
		}
	})
	for queue := range topicQueues {
		batch.Begin(reqGetMaxOffset)
		batch.String("topic", topic)
		batch.Int("queueId", int64(queue))
		if err := batch.End(nil); err != nil {
			return nil, err
		}
	}
	w.pool.Submit(b.Address, batch)
	batch.Wait(ctx)
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("ends of the queues of %s on %s: %w", topic, b.Name, err)
		}
	}
	return ends, nil
}

// count is the number of messages on the topic.
func (w *Bench) count(ctx context.Context, topic string, brokers []Broker) (int, error) {
	n := 0
	for _, b := range brokers {
		ends, err := w.ends(ctx, topic, b)
		if err != nil {
			return 0, err
		}
		for _, end := range ends {
			n += int(end)
		}
	}
	return n, nil
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
