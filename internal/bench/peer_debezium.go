package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// debezium is Debezium Server with its RocketMQ sink and its outbox event router, in its best configuration. It sends each
// row once, plainly and without waiting, by several threads: it may send twice, breaks the order of a key under load, and
// waits for ever for a message that failed.
func debezium() peer {
	return peer{
		name: "debezium",
		table: `CREATE TABLE peer (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype varchar NOT NULL, aggregateid varchar NOT NULL,
type varchar NOT NULL DEFAULT 'event', payload text NOT NULL)`,
		insert: `INSERT INTO peer (aggregatetype, aggregateid, payload)
SELECT $1, 'key-' || n % 1000, lpad(n::text, 16, '0') || $2 FROM generate_series($3::bigint, $4::bigint) n ORDER BY n`,
		single: `INSERT INTO peer (aggregatetype, aggregateid, payload) VALUES ($1, 'key-' || (random() * 999)::int, convert_from($2, 'UTF8'))`,
		start:  startDebezium,
		leave:  leaveDebezium,
	}
}

// debeziumProperties is the configuration; %[1]s is the name of everything, the schema and the topic among them.
const debeziumProperties = `debezium.sink.type=rocketmq
debezium.sink.rocketmq.producer.name.srv.addr=%[2]s
debezium.sink.rocketmq.producer.group=%[1]s
debezium.sink.rocketmq.producer.send.msg.timeout=30000
debezium.source.connector.class=io.debezium.connector.postgresql.PostgresConnector
debezium.source.plugin.name=pgoutput
debezium.source.slot.name=%[1]s
debezium.source.publication.name=%[1]s
debezium.source.publication.autocreate.mode=filtered
debezium.source.database.hostname=%[3]s
debezium.source.database.port=%[4]s
debezium.source.database.user=%[5]s
debezium.source.database.password=%[6]s
debezium.source.database.dbname=%[7]s
debezium.source.topic.prefix=dbz
debezium.source.topic.delimiter=_
debezium.source.table.include.list=%[1]s.peer
debezium.source.snapshot.mode=no_data
debezium.source.tombstones.on.delete=false
debezium.source.skipped.operations=u,d,t
debezium.source.poll.interval.ms=5
debezium.source.max.queue.size=16384
debezium.source.lsn.flush.mode=connector_and_driver
debezium.source.offset.storage.file.filename=data/offsets.dat
debezium.source.offset.flush.interval.ms=1000
debezium.transforms=outbox
debezium.transforms.outbox.type=io.debezium.transforms.outbox.EventRouter
debezium.transforms.outbox.route.by.field=aggregatetype
debezium.transforms.outbox.route.topic.replacement=$${routedByValue}
debezium.transforms.outbox.table.fields.additional.placement=type:header:eventType
debezium.format.key=simplestring
debezium.format.value=simplestring
debezium.format.header=json
debezium.format.header.schemas.enable=false
quarkus.http.port=0
quarkus.log.level=WARN
`

// sendQueueWait is the broker's setting without which Debezium hangs when the machine is busy, and its default.
const (
	sendQueueWait        = "30000"
	sendQueueWaitDefault = "200"
)

func startDebezium(ctx context.Context, p *place) (*relay, error) {
	w := p.bench
	peers := w.cfg.Peers
	if peers.Debezium == "" {
		why := peers.WhyNot
		if why == "" {
			why = "run with -peers"
		}
		return nil, skip("%s", why)
	}
	var level string
	if err := p.db.QueryRow(ctx, "SHOW wal_level").Scan(&level); err != nil || level != "logical" {
		return nil, skip("needs wal_level=logical, it is %s", level)
	}
	if err := w.setBroker(ctx, p.brokers[0], "waitTimeMillsInSendQueue", sendQueueWait); err != nil {
		return nil, err
	}
	dir := filepath.Join(w.cfg.Dir, p.schema)
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "config"), 0o755), os.MkdirAll(filepath.Join(dir, "data"), 0o755)); err != nil {
		return nil, fmt.Errorf("make the folder of Debezium Server: %w", err)
	}
	u, err := url.Parse(w.cfg.Servers.Postgres)
	if err != nil {
		return nil, fmt.Errorf("read PostgreSQL's URL: %w", err)
	}
	password, _ := u.User.Password()
	text := fmt.Sprintf(debeziumProperties, p.schema, w.cfg.Servers.NameServer, u.Hostname(), u.Port(), u.User.Username(), password,
		strings.TrimPrefix(u.Path, "/"))
	if err := os.WriteFile(filepath.Join(dir, "config", "application.properties"), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration of Debezium Server: %w", err)
	}
	runners, _ := filepath.Glob(filepath.Join(peers.Debezium, "debezium-server-*runner.jar")) // The pattern is well-formed.
	classes := append(runners, filepath.Join(peers.Debezium, "lib", "*"))
	cmd := exec.Command(peers.Java, "-Xms512m", "-Xmx512m", "-Drocketmq.client.logRoot="+dir, "-cp", strings.Join(classes, ":"), "io.debezium.server.Main") //nolint:noctx // It is killed.
	cmd.Dir = dir
	return p.startPeer(cmd)
}

// setBroker changes a setting of a broker that runs.
func (w *Bench) setBroker(ctx context.Context, b Broker, name, value string) error {
	cmd, err := w.pool.Call(ctx, b.Address, requestTimeout, func(batch *remoting.Batch) error {
		batch.Begin(reqUpdateConfig)
		return batch.End([]byte(name + "=" + value + "\n"))
	})
	if err == nil && cmd.Code != codeSuccess {
		err = fmt.Errorf("answer %d: %s", cmd.Code, cmd.Remark())
	}
	if err != nil {
		return fmt.Errorf("set %s of the broker %s: %w", name, b.Name, err)
	}
	return nil
}

// awaitStream waits until the peer follows the log: only what comes after that is sent.
func (d peer) awaitStream(ctx context.Context, p *place) error {
	if d.name != "debezium" {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("no one followed the log within two minutes"))
	defer cancel()
	for {
		var active bool
		err := p.db.QueryRow(ctx, "SELECT active FROM pg_replication_slots WHERE slot_name = $1", p.schema).Scan(&active)
		switch {
		case active:
			return nil
		case err != nil && !errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("look for the slot of Debezium Server: %w", err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// leaveDebezium drops its slot, which would keep the log for ever, and its publication.
func leaveDebezium(ctx context.Context, p *place) error {
	err := p.bench.setBroker(ctx, p.brokers[0], "waitTimeMillsInSendQueue", sendQueueWaitDefault)
	_, dropErr := p.db.Exec(ctx, "DROP PUBLICATION IF EXISTS "+pgx.Identifier{p.schema}.Sanitize())
	err = errors.Join(err, dropErr, os.RemoveAll(filepath.Join(p.bench.cfg.Dir, p.schema)))
	for { // its connection may not be gone yet
		var dropped int
		last := p.db.QueryRow(ctx, `SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active`, p.schema).Scan(&dropped)
		var left bool
		if last == nil {
			last = p.db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)", p.schema).Scan(&left)
		}
		if last == nil && !left {
			return err
		}
		if waited := pause(ctx, 50*time.Millisecond); waited != nil {
			return errors.Join(err, fmt.Errorf("drop the slot of Debezium Server: %w", errors.Join(last, waited)))
		}
	}
}
