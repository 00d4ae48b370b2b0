package rocketmq

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(stacktest.M{M: m}) }
