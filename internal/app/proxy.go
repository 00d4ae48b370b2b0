package app

import (
	"fmt"
	"strings"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
)

// whyNoProxy holds whatever a topic's delivery is: not to read what was lost does not make it less lost. It is seen on the
// remoting port of RocketMQ's proxy (TestWhatAProxyAnswers, docs/compatibility.md).
const whyNoProxy = "it answers 0 to a commit and does not carry it out, so messages would be lost. " +
	"Give nameservers the addresses of name servers, by which brokers are reached themselves"

func proxyAsNameServer(addresses []string) error {
	if len(addresses) == 0 {
		return nil
	}
	return fmt.Errorf("%s is a proxy, no name server: %s", strings.Join(addresses, ", "), whyNoProxy)
}

func proxiesAmong(brokers []rocketmq.BrokerConfig) (faults []error) {
	for _, b := range brokers {
		if b.Proxy {
			faults = append(faults, fmt.Errorf("what answers for broker %s at %s is a proxy, no broker: %s", b.Broker, b.Address, whyNoProxy))
		}
	}
	return faults
}
