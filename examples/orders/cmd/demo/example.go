package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
	"github.com/outbox-relay/outbox-relay/internal/child"
	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// Who receives.
const (
	consumerDemo = "demo" // the demo, see consumer.go
	consumerGo   = "go"   // examples/consumer-go
	consumerJava = "java" // examples/consumer-java
)

const examples = "github.com/outbox-relay/outbox-relay/examples"

// buildConsumer builds one of the examples into dir and returns the command that starts it; nil for the demo itself.
func buildConsumer(ctx context.Context, consumer, dir string) ([]string, error) {
	switch consumer {
	case consumerGo:
		binary := filepath.Join(dir, "consumer-go")
		cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, examples+"/consumer-go")
		if output, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the consumer: %w%s", err, indented(output))
		}
		return []string{binary, "-orderly"}, nil
	case consumerJava:
		return buildJava(ctx, filepath.Join(dir, "consumer-java"))
	default:
		return nil, nil
	}
}

func buildJava(ctx context.Context, dir string) ([]string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", examples+"/consumer-go")
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("find the sources of the consumer: %w", err)
	}
	sources := filepath.Join(filepath.Dir(strings.TrimSpace(string(output))), "consumer-java")
	command, err := stack.BuildJava(ctx, sources, dir)
	if err != nil {
		return nil, err
	}
	return append(command, "-Xmx256m", "-Duser.home="+dir, "example.Consumer", "orderly"), nil
}

// receive starts the consumer and tells the audit what comes.
func receive(s *servers, example []string, a *audit.Audit) (stop func(), err error) {
	if example == nil {
		return startConsumer(s, a)
	}
	jdbc, err := jdbcURL(s.databaseURL)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(example[0], example[1:]...) //nolint:noctx // It is stopped when the play is over.
	cmd.Env = append(os.Environ(), "CONSUMER_DATABASE="+s.databaseURL, "CONSUMER_JDBC="+jdbc, "CONSUMER_NAMESERVER="+s.nameServer,
		"CONSUMER_TOPIC="+s.topic, "CONSUMER_GROUP="+s.topic+"_consumer")
	cmd.Stdout = &lines{each: func(line string) {
		if d, ok := deliveryOf(line, time.Now()); ok {
			a.Delivered(d)
		}
	}}
	process, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	return func() {
		_ = process.Signal(syscall.SIGTERM)
		select {
		case <-process.Done():
		case <-time.After(20 * time.Second):
			_ = process.Kill()
		}
	}, nil
}

// jdbcURL is a database's URL as Java writes it.
func jdbcURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("read the database's URL: %w", err)
	}
	query := url.Values{"user": {u.User.Username()}}
	if password, ok := u.User.Password(); ok {
		query.Set("password", password)
	}
	return "jdbc:postgresql://" + u.Host + u.Path + "?" + query.Encode(), nil
}

// deliveryOf reads what the examples print before they apply a message: "delivered", broker, queue, offset, key, and the body in
// base64, with tabs in between.
func deliveryOf(line string, at time.Time) (audit.Delivery, bool) {
	fields := strings.Split(line, "\t")
	if len(fields) != 6 || fields[0] != "delivered" {
		return audit.Delivery{}, false
	}
	queue, err := strconv.Atoi(fields[2])
	offset, offsetErr := strconv.ParseInt(fields[3], 10, 64)
	body, bodyErr := base64.StdEncoding.DecodeString(fields[5])
	if errors.Join(err, offsetErr, bodyErr) != nil {
		return audit.Delivery{}, false
	}
	m := &primitive.MessageExt{QueueOffset: offset}
	m.Queue = &primitive.MessageQueue{BrokerName: fields[1], QueueId: queue}
	m.Body = body
	m.WithProperty("outbox-dedup-key", fields[4])
	return delivery(m, at), true
}

// lines hands on what is written, one line at a time.
type lines struct {
	rest []byte
	each func(line string)
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		l.each(string(bytes.TrimSuffix(line, []byte("\r"))))
		l.rest = rest
	}
}

// reportEffect compares what the example wrote into its own table with what was committed.
func (p *play) reportEffect(ctx context.Context, v audit.Verdict) error {
	var applied int
	if err := p.db.QueryRow(ctx, `SELECT coalesce(sum(orders), 0) FROM customer_total`).Scan(&applied); err != nil {
		return fmt.Errorf("look at what the consumer applied: %w", err)
	}
	p.out.printf("  The consumer has applied %d orders to its own table.\n", applied)
	if applied != v.Committed {
		return fmt.Errorf("the consumer has applied %d orders, and %d were committed", applied, v.Committed)
	}
	return nil
}
