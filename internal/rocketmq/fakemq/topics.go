package fakemq

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
)

// Request codes that ServeTopics answers (RocketMQ 5.3 RequestCode).
const (
	SendMessageV2    = 310
	EndTransaction   = 37
	MaxOffset        = 30
	MinOffset        = 31
	Route            = 105
	ClusterInfo      = 106
	Heartbeat        = 34
	UnregisterClient = 35
)

// ServeTopics makes the server a name server that routes each topic to itself, and the master of a broker that stores every
// half and accepts every commit. Handlers set later replace these.
func (s *Server) ServeTopics(broker string, queues int, topics ...string) {
	data := fmt.Sprintf(`{"brokerAddrs":{0:%q},"brokerName":%q,"cluster":"fake"}`, s.Address(), broker)
	s.Handle(Route, func(r Request) Reply {
		for _, topic := range topics {
			if r.Field("topic") == topic {
				return Reply{Body: fmt.Appendf(nil,
					`{"brokerDatas":[%s],"queueDatas":[{"brokerName":%q,"perm":6,"readQueueNums":%d,"topicSysFlag":0,"writeQueueNums":%d}]}`,
					data, broker, queues, queues)}
			}
		}
		return Reply{Code: 17, Remark: "No topic route info in name server for the topic: " + r.Field("topic")}
	})
	s.Answer(ClusterInfo, Reply{Body: fmt.Appendf(nil,
		`{"brokerAddrTable":{%q:%s},"clusterAddrTable":{"fake":[%q]}}`, broker, data, broker)})
	s.Answer(Heartbeat, Reply{})
	s.Answer(UnregisterClient, Reply{})
	s.Answer(EndTransaction, Reply{})
	s.Answer(MinOffset, Reply{Fields: map[string]string{"offset": "0"}})
	var halves atomic.Int64
	s.Handle(MaxOffset, func(Request) Reply {
		return Reply{Fields: map[string]string{"offset": strconv.FormatInt(halves.Load(), 10)}}
	})
	s.Handle(SendMessageV2, func(r Request) Reply { return s.Stored(0, halves.Add(1)-1, r) })
}

// Stored is the answer to a half that was stored at an offset, with code 0, 10, 11 or 12.
func (s *Server) Stored(code int, offset int64, r Request) Reply {
	host, port, _ := net.SplitHostPort(s.Address())
	n, _ := strconv.Atoi(port)
	var id strings.Builder
	for _, b := range net.ParseIP(host).To4() {
		fmt.Fprintf(&id, "%02X", b)
	}
	fmt.Fprintf(&id, "%08X%016X", n, offset*1000)
	return Reply{Code: code, Fields: map[string]string{
		"msgId": id.String(), "queueId": r.Field("e"), "queueOffset": strconv.FormatInt(offset, 10), "transactionId": "t",
	}}
}
