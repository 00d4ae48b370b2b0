package relay

import (
	"context"
	"encoding/hex"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A sendLog logs one line for each attempt to publish a row, sent or not: what an operator searches for. The zero sendLog logs
// nothing. It never logs the payload.
type sendLog struct{ log *slog.Logger }

func newSendLog(cfg Config, log *slog.Logger) sendLog {
	if !cfg.LogSends {
		return sendLog{}
	}
	return sendLog{log}
}

// end logs how an attempt ended: reason "" means that the message is on its topic.
func (l sendLog) end(it *item, reason Reason, now time.Time) {
	if l.log == nil {
		return
	}
	status := "SEND_OK"
	if reason != "" {
		status = string(reason)
	}
	attrs := []slog.Attr{
		slog.Int64("row", it.row.ID), slog.String("topic", it.row.Topic), slog.String("keys", it.half.Keys),
		slog.String("ordering_key", it.row.OrderingKey), slog.String("msg_id", it.half.UniqKey), slog.String("broker", it.queue.Broker),
		slog.Int("queue", it.queue.ID), slog.Int("attempt", int(it.row.Attempts)+1), slog.String("status", status),
	}
	if it.stored.UniqKey != "" && it.batch != nil {
		attrs = append(attrs, slog.String("offset_msg_id", OffsetMessageID(it.batch.address, it.stored.LogOffset)))
	}
	if !it.half.Born.IsZero() {
		attrs = append(attrs, slog.Int64("ms", max(0, now.Sub(it.half.Born).Milliseconds())))
	}
	if reason != "" {
		l.log.LogAttrs(context.Background(), slog.LevelWarn, "not sent", attrs...)
		return
	}
	l.log.LogAttrs(context.Background(), slog.LevelInfo, "sent", attrs...)
}

// OffsetMessageID is the id that says where a message lies (MessageDecoder.createMessageId): the address of the broker that
// stored it, its port, and the offset in its log. mqadmin queryMsgById finds the message by it. "" if the address is a name.
func OffsetMessageID(address string, logOffset int64) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || logOffset < 0 {
		return ""
	}
	id := append([]byte(nil), ip.Unmap().AsSlice()...)
	id = append(id, 0, 0, byte(n>>8), byte(n&math.MaxUint8))
	for shift := 56; shift >= 0; shift -= 8 {
		id = append(id, byte(logOffset>>shift))
	}
	return strings.ToUpper(hex.EncodeToString(id))
}
