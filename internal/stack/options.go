package stack

import (
	"log/slog"
	"maps"
	"os"
)

// DefaultRocketMQVersion is what the relay is developed against.
const DefaultRocketMQVersion = "5.3.3"

// DefaultPostgresVersion is the published binary that is fetched when no
// PostgreSQL is installed.
const DefaultPostgresVersion = "17.11.0"

// Options are the caller's choices; the zero value is a good one.
type Options struct {
	// Dir holds data and logs, in a folder per server; it must be passable for an
	// unprivileged user when the caller is root, because PostgreSQL refuses to
	// run as root. Default: a new folder in the system's temporary one.
	Dir string
	// Logger is told what takes seconds. Default: nothing is logged.
	Logger *slog.Logger
	// Engine chooses between containers and native processes. Default: the
	// variable OUTBOX_STACK, else EngineAuto.
	Engine Engine

	// PostgresBin is a folder with initdb and postgres. Default: the variable
	// OUTBOX_TEST_PG_BIN, else the newest installed PostgreSQL from 14 on, else
	// the published binary.
	PostgresBin string
	// PostgresVersion asks for a published binary, for example "14.24.0", even if
	// a PostgreSQL is installed. Default: the variable OUTBOX_TEST_PG_VERSION.
	PostgresVersion string
	// PostgresConfig adds settings to postgresql.conf.
	PostgresConfig map[string]string

	// RocketMQVersion is a published version from 4.9.7 on. Default: the variable
	// OUTBOX_TEST_ROCKETMQ_VERSION, else DefaultRocketMQVersion.
	RocketMQVersion string
	// BrokerName distinguishes brokers of one cluster. Default: "broker-a".
	BrokerName string
	// BrokerConfig adds lines to broker.conf, or replaces ours. The broker
	// ignores misspelled names silently.
	BrokerConfig map[string]string
	// BrokerPort is the port of the broker, which also takes the ports BrokerPort-2
	// and BrokerPort+1. Default: free ones.
	BrokerPort int
	// BrokerIP is the address that the broker tells clients to come to, on its own
	// port. Only 127.0.0.1 is the broker itself: on another one, such as 127.0.0.2,
	// there has to be a proxy. Default: 127.0.0.1.
	BrokerIP string
	// JVM adds flags for the broker's Java, after the ones that keep it small.
	JVM []string
	// Env adds variables ("NAME=value") to the broker's environment.
	Env []string
	// Secure makes name server and broker speak TLS, or the broker ask for credentials; natively only.
	Secure *Secure
	// FakeClock gives a native broker a clock that [Broker.SetClock] moves. It
	// needs libfaketime.
	FakeClock bool
}

// FastTransactions makes the broker ask about a half message after about a
// second instead of after 6 to 36 s, and remember commits at once, so that tests
// of check-backs and of late commits take seconds (RocketMQ 5.3 BrokerConfig:
// transactionTimeOut 6000, transactionCheckInterval 30000,
// transactionOpBatchInterval 3000; milliseconds).
func FastTransactions() map[string]string {
	return map[string]string{
		"transactionTimeOut":         "1000",
		"transactionCheckInterval":   "500",
		"transactionOpBatchInterval": "100",
	}
}

func (o Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

func (o Options) rocketMQVersion() string {
	if o.RocketMQVersion != "" {
		return o.RocketMQVersion
	}
	if version := os.Getenv(EnvRocketMQVersion); version != "" {
		return version
	}
	return DefaultRocketMQVersion
}

func (o Options) brokerName() string {
	if o.BrokerName == "" {
		return "broker-a"
	}
	return o.BrokerName
}

func (o Options) brokerIP() string {
	if o.BrokerIP == "" {
		return "127.0.0.1"
	}
	return o.BrokerIP
}

// merged returns base with the entries of over added or replaced.
func merged(base, over map[string]string) map[string]string {
	out := maps.Clone(base)
	maps.Copy(out, over)
	return out
}
