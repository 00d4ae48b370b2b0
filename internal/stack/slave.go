package stack

import (
	"context"
	"errors"
	"maps"
)

// StartSlave starts a slave of the master, which copies what the master stores and
// can be read. It takes some seconds until it has caught up: a master with
// inSyncReplicas=2 confirms no message before that. The options are those of the
// master.
//
// It hears of topics every ten seconds, and of those with attributes never: RocketMQ
// 5.3 fails over what it is told about them (SlaveSynchronize), so that they are
// copied and cannot be read there. Create topics without a message type.
func StartSlave(ctx context.Context, ns *NameServer, master *Broker, opts Options) (*Broker, error) {
	if _, ok := ns.runner.(*native); !ok {
		return nil, errors.New("start a slave: the name server is in a container: choose EngineNative")
	}
	config := map[string]string{}
	maps.Copy(config, opts.BrokerConfig)
	config["brokerId"], config["brokerRole"] = "1", "SLAVE"
	config["slaveReadEnable"] = "true" // not so by default: it answers a pull with 2
	opts.BrokerName, opts.BrokerConfig, opts.BrokerPort = master.Name, config, 0
	return StartBroker(ctx, ns, opts)
}
