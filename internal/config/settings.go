package config

import (
	"log/slog"
	"slices"
	"strconv"
	"time"
)

// Settings returns every setting, in the order of the documentation. What is not in this list does not exist: see
// unsupported.go for what is refused with a word of explanation.
func Settings() []Setting {
	return slices.Concat(databaseSettings(), brokerSettings(), credentialSettings(), tlsSettings(), flowSettings(), promiseSettings(),
		retrySettings(), limitSettings(), processSettings(), profileSettings(), wireSettings())
}

func databaseSettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "database.url", Secret: true,
			Doc: "Where the outbox is: a PostgreSQL URL such as postgres://user:password@host:5432/database, or key=value pairs. " +
				"Required, here or by `database.url_file`. A flag is seen by everyone who can list processes: prefer the others.",
		}, databaseURL(), func(c *Config) *DatabaseURL { return &c.Database.URL }),
		define(Setting{
			Key: "database.url_file",
			Doc: "A file that holds `database.url`, such as a mounted secret. White space around it is dropped. Where both are given, " +
				"the one from the stronger source holds.",
		}, text(), func(c *Config) *string { return &c.Database.URLFile }),
		define(Setting{
			Key: "database.schema", Default: "public",
			Doc: "The schema that holds the outbox tables.",
		}, text(), func(c *Config) *string { return &c.Database.Schema },
			matching(`^[^\x00]{1,63}$`, "1 to 63 bytes"),
			notPrefixed("pg_")),
	}
}

func brokerSettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "nameservers", Repeatable: true,
			Doc: "RocketMQ's name servers: host:port, [IPv6]:port, or http:// before either. A YAML list, or text separated by `;` or `,`. " +
				"Required. Names are better than addresses: they are resolved anew for each connection. See endpoints.md.",
		}, nameServers(), func(c *Config) *[]string { return &c.NameServers }),
		define(Setting{
			Key: "topics", Repeatable: true,
			Doc: "The topics that rows may name, bound at start. A YAML list of names or of objects `{name, type, mode, on_dead, delivery}`; " +
				"elsewhere a list of `name[:word]…` with words for the fields, separated by `,`. Required. `type`: transaction (default), " +
				"normal, fifo or delay. `mode` of type normal: sync (default: a request waits for the answer to the one before), async " +
				"(it does not) or oneway (nothing is answered, so messages can be lost: for logs). `on_dead`: block (default: a dead row " +
				"blocks its ordering key until an operator decides) or skip. `delivery`: exactly_once (default and only for type " +
				"transaction) or at_least_once (the default elsewhere; for type transaction a message in doubt is sent again without " +
				"looking for it: for brokers that cannot be read, or are older than 5.1.4). What the table outbox_topic says about a topic " +
				"holds for all relays and wins over this list.",
		}, topics(), func(c *Config) *[]Topic { return &c.Topics }),
		define(Setting{
			Key: "group", Default: "outbox-relay",
			Doc: "The producer group. The relays of one outbox share it and keep it across releases. Two outboxes on one cluster should " +
				"have two groups: the broker asks any member about any half message, and each relay would warn about the other's.",
		}, text(), func(c *Config) *string { return &c.Group }, groupRules()...),
		define(Setting{
			Key: "instance", DefaultNote: "the host name",
			Doc: "Names this relay among those of the outbox, such as the pod. A relay that starts takes over from an earlier one of the " +
				"same name at once, so no two may run under one name.",
		}, text(), func(c *Config) *string { return &c.Instance },
			matching(`^[A-Za-z0-9._-]{1,100}$`, "1 to 100 letters, digits, dots, _ or -"), notOneOf("DEFAULT")),
		define(Setting{
			Key: "connections", Default: "1",
			Doc: "Connections to each broker. One carries about 25,000 messages a second.",
		}, integer(), func(c *Config) *int { return &c.Connections }, between(1, 5, strconv.Itoa)),
	}
}

func flowSettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "batch.rows", Default: "512",
			Doc: "Rows read and sent at once for each broker, at most.",
		}, integer(), func(c *Config) *int { return &c.Batch.Rows }, between(1, 4096, strconv.Itoa)),
		define(Setting{
			Key: "batch.bytes", Default: "8MiB",
			Doc: "Payload bytes read and sent at once, at most; a single row may be larger. The relay holds about batch.bytes × " +
				"batch.in_flight in memory.",
		}, size(), func(c *Config) *int64 { return &c.Batch.Bytes }, between(64<<10, 256<<20, showSize)),
		define(Setting{
			Key: "batch.in_flight", Default: "4",
			Doc: "Batches under way at the same time.",
		}, integer(), func(c *Config) *int { return &c.Batch.InFlight }, between(1, 64, strconv.Itoa)),
		define(Setting{
			Key: "send.messages", Default: "32",
			Doc: "Messages of one queue that go out as one RocketMQ batch, at most; on topics of type normal and fifo. 1 sends each by itself.",
		}, integer(), func(c *Config) *int { return &c.Send.Messages }, between(1, 4096, strconv.Itoa)),
		define(Setting{
			Key: "send.bytes", Default: "1MiB",
			Doc: "Payload bytes of such a batch, at most; it must stay below the broker's maxMessageSize (4 MiB).",
		}, size(), func(c *Config) *int64 { return &c.Send.Bytes }, between(1, 4<<20, showSize)),
		define(Setting{
			Key: "poll.busy", Default: "2ms",
			Doc: "The pause between two reads while rows come.",
		}, duration(), func(c *Config) *time.Duration { return &c.Poll.Busy },
			between(100*time.Microsecond, time.Second, showDuration)),
		define(Setting{
			Key: "poll.idle", Default: "100ms",
			Doc: "What the pause grows to while none come. It adds half of itself to the latency of a row that comes after a rest.",
		}, duration(), func(c *Config) *time.Duration { return &c.Poll.Idle },
			between(time.Millisecond, time.Minute, showDuration)),
	}
}

func promiseSettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "window", Default: "10s",
			Doc: "How long a broker may accept the commit of a half message: what fences a frozen relay. At least the broker's " +
				"transactionTimeOut, 6s unless changed; the relay compares them at start. Where that is at least half of it, and twice " +
				"`commit_timeout`, it alone is the fence and halves carry CHECK_IMMUNITY_TIME_IN_SECONDS=1, which spares the broker much; " +
				"else they carry this. At most 449s, because the broker drops a half after 15 checks of 30s.",
		}, duration(), func(c *Config) *time.Duration { return &c.Window },
			wholeSeconds(), between(time.Second, 449*time.Second, showDuration)),
		define(Setting{
			Key: "append_margin", Default: "5s",
			Doc: "How long a broker may stall between accepting a commit and writing it. Exactly-once rests on it.",
		}, duration(), func(c *Config) *time.Duration { return &c.AppendMargin },
			between(time.Second, 10*time.Minute, showDuration)),
		define(Setting{
			Key: "send_timeout", Default: "6s",
			Doc: "How long the relay waits for the answer to a half message. Above the broker's syncFlushTimeout (5s), or its answer " +
				"FLUSH_DISK_TIMEOUT is never seen.",
		}, duration(), func(c *Config) *time.Duration { return &c.SendTimeout },
			between(time.Second, time.Minute, showDuration)),
		define(Setting{
			Key: "commit_timeout", Default: "2500ms",
			Doc: "How long the answer to a commit counts as certain; a later one is in doubt and is looked up. Below the broker's " +
				"slaveTimeout (3s) and syncFlushTimeout (5s), because the broker hides both on commits.",
		}, duration(), func(c *Config) *time.Duration { return &c.CommitTimeout },
			between(100*time.Millisecond, 2900*time.Millisecond, showDuration)),
		define(Setting{
			Key: "lease.duration", Default: "10s",
			Doc: "How long a relay that is silent keeps its rows before another takes over.",
		}, duration(), func(c *Config) *time.Duration { return &c.Lease.Duration },
			between(time.Second, 5*time.Minute, showDuration)),
		define(Setting{
			Key: "lease.renew", Default: "3s",
			Doc: "The pause between two renewals of the lease. At most a third of `lease.duration`, so that one lost renewal does no harm.",
		}, duration(), func(c *Config) *time.Duration { return &c.Lease.Renew },
			between(100*time.Millisecond, 100*time.Second, showDuration)),
		define(Setting{
			Key: "retention", Default: "7d",
			Doc: "How long the ledger remembers what was sent: the view outbox_sent.",
		}, duration(), func(c *Config) *time.Duration { return &c.Retention },
			between(time.Minute, 3650*24*time.Hour, showDuration)),
	}
}

func retrySettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "retry.initial", Default: "1s",
			Doc: "The pause after the first failure of a row, or of a topic on a broker. An outage is not a failure of the row.",
		}, duration(), func(c *Config) *time.Duration { return &c.Retry.Initial },
			between(10*time.Millisecond, time.Hour, showDuration)),
		define(Setting{
			Key: "retry.factor", Default: "1.6",
			Doc: "What the pause is multiplied by after each further failure.",
		}, decimal(), func(c *Config) *float64 { return &c.Retry.Factor }, between(1.0, 10.0, showFloat)),
		define(Setting{
			Key: "retry.jitter", Default: "0.2",
			Doc: "By what part of itself the pause varies at random, up and down.",
		}, decimal(), func(c *Config) *float64 { return &c.Retry.Jitter }, between(0.0, 1.0, showFloat)),
		define(Setting{
			Key: "retry.max", Default: "120s",
			Doc: "The longest pause.",
		}, duration(), func(c *Config) *time.Duration { return &c.Retry.Max },
			between(10*time.Millisecond, 24*time.Hour, showDuration)),
	}
}

func processSettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "http.listen", Default: ":9090",
			Doc: "Where /metrics, /healthz and /readyz are served: [host]:port, port 0 for any free one, or off.",
		}, listenAddress(), func(c *Config) *string { return &c.HTTP.Listen }),
		define(Setting{
			Key: "log.level", Default: "info", Rule: "debug, info, warn or error",
			Doc: "The least level that is logged.",
		}, level(), func(c *Config) *slog.Level { return &c.Log.Level }),
		define(Setting{
			Key: "log.format", Default: "json",
			Doc: "How log lines are written, to standard error.",
		}, text(), func(c *Config) *string { return &c.Log.Format }, oneOf("json", "text")),
		define(Setting{
			Key: "shutdown.grace", Default: "25s",
			Doc: "How long a stop may take to finish what is in flight. Keep it below what kills the process (Kubernetes: " +
				"terminationGracePeriodSeconds, 30s unless changed). What is cut is finished by the next relay.",
		}, duration(), func(c *Config) *time.Duration { return &c.Shutdown.Grace },
			between(time.Second, 10*time.Minute, showDuration)),
	}
}
