//go:build !linux

package bench

import (
	"errors"
	"time"
)

var errNoMeter = errors.New("processor time and memory of other processes are only known on Linux")

func settleDisks() {}

func processorTime(int) (time.Duration, error) { return 0, errNoMeter }

func familyTime(int) (time.Duration, error) { return 0, errNoMeter }

func residentMemory(int) (now, peak int64, err error) { return 0, 0, errNoMeter }
