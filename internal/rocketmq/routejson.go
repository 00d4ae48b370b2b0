package rocketmq

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// A topicRoute is what a name server says of a topic.
type topicRoute struct {
	queues  []queueData       // a row for each broker that has the topic
	masters map[string]string // address by broker name; a broker without a master is not in it
	static  bool              // the topic's queues are mapped (a static topic)
}

type queueData struct {
	broker      string
	write, read int
	perm        int
}

// The bits of a permission (PermName).
const (
	permRead  = 4
	permWrite = 2
)

// permText prints a permission as mqadmin does.
func permText(perm int) string {
	s := ""
	if perm&permRead != 0 {
		s += "R"
	}
	if perm&permWrite != 0 {
		s += "W"
	}
	if s == "" {
		return "none"
	}
	return s
}

// maxQueues is how many queues of a topic on one broker are believed; RocketMQ's own limit is below it.
const maxQueues = 1 << 16

func parseRoute(body []byte) (*topicRoute, error) {
	root, err := parseFastjson(body)
	if err != nil {
		return nil, fmt.Errorf("route: %w", err)
	}
	r := &topicRoute{masters: masterAddresses(root.Get("brokerDatas"))}
	root.Get("queueDatas").ForEach(func(_, q gjson.Result) bool {
		r.queues = append(r.queues, queueData{
			broker: q.Get("brokerName").String(),
			write:  min(max(int(q.Get("writeQueueNums").Int()), 0), maxQueues),
			read:   min(max(int(q.Get("readQueueNums").Int()), 0), maxQueues),
			perm:   int(q.Get("perm").Int()),
		})
		return true
	})
	root.Get("topicQueueMappingByBroker").ForEach(func(_, _ gjson.Result) bool {
		r.static = true
		return false
	})
	return r, nil
}

// parseClusterInfo returns the masters of all clusters.
func parseClusterInfo(body []byte) (map[string]string, error) {
	root, err := parseFastjson(body)
	if err != nil {
		return nil, fmt.Errorf("cluster info: %w", err)
	}
	return masterAddresses(root.Get("brokerAddrTable")), nil
}

// masterAddresses reads BrokerData, in a list or by name.
func masterAddresses(brokers gjson.Result) map[string]string {
	masters := make(map[string]string)
	brokers.ForEach(func(_, b gjson.Result) bool {
		b.Get("brokerAddrs").ForEach(func(id, address gjson.Result) bool {
			if id.String() == "0" && address.String() != "" {
				masters[b.Get("brokerName").String()] = dialable(address.String())
			}
			return true
		})
		return true
	})
	return masters
}

// dialable puts an IPv6 host in brackets where the broker's configuration has none.
func dialable(address string) string {
	at := strings.LastIndexByte(address, ':')
	if at < 0 || !strings.Contains(address[:at], ":") || strings.HasPrefix(address, "[") {
		return address
	}
	return "[" + address[:at] + "]" + address[at:]
}

// parseFastjson reads the JSON that RocketMQ's peers write, where keys of maps may be bare numbers.
func parseFastjson(body []byte) (gjson.Result, error) {
	quoted := quoteKeys(body)
	if !gjson.ValidBytes(quoted) {
		return gjson.Result{}, fmt.Errorf("no JSON in an answer of %d bytes", len(body))
	}
	return gjson.ParseBytes(quoted), nil
}

// quoteKeys puts bare numbers before a colon in quotes.
func quoteKeys(in []byte) []byte {
	out := make([]byte, 0, len(in)+16)
	inString, digits := false, -1 // digits is where in out a run of digits began that may turn out to be a key
	for i := 0; i < len(in); i++ {
		c := in[i]
		switch {
		case inString && c == '\\' && i+1 < len(in):
			out = append(out, c)
			i++
			c = in[i]
		case c == '"':
			inString = !inString
			digits = -1
		case inString:
		case c >= '0' && c <= '9' || c == '-':
			if digits < 0 {
				digits = len(out)
			}
		case c == ':' && digits >= 0:
			key := string(out[digits:])
			out = append(append(append(out[:digits], '"'), key...), '"')
			digits = -1
		default:
			digits = -1
		}
		out = append(out, c)
	}
	return out
}
