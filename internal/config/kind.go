package config

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
)

// A kind is how the text of a value is read and shown.
type kind[T any] struct {
	name  string // for --help and the documentation
	parse func(raw any) (T, []fault)
	show  func(T) string
}

// scalar makes a kind of a parser for text. want says what a value looks like.
func scalar[T any](name, want string, parse func(string) (T, error), show func(T) string) kind[T] {
	return kind[T]{name: name, show: show, parse: func(raw any) (T, []fault) {
		text, ok := scalarText(raw)
		if ok {
			if v, err := parse(text); err == nil {
				return v, nil
			}
		}
		var zero T
		return zero, faultf("must be %s", want)
	}}
}

// scalarText returns a YAML scalar, the text of a variable or that of a flag as text; false for lists and maps.
func scalarText(raw any) (string, bool) {
	switch v := raw.(type) {
	case string:
		return strings.TrimSpace(v), true
	case int, int64, uint64, bool:
		return fmt.Sprint(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

func text() kind[string] {
	return scalar("text", "text", func(s string) (string, error) { return s, nil }, func(s string) string { return s })
}

func integer() kind[int] {
	return scalar("number", "a whole number", strconv.Atoi, strconv.Itoa)
}

func decimal() kind[float64] {
	parse := func(s string) (float64, error) {
		f, err := strconv.ParseFloat(s, 64)
		if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return 0, strconv.ErrRange
		}
		return f, err
	}
	return scalar("number", "a number", parse, showFloat)
}

func duration() kind[time.Duration] {
	return scalar("duration", "a duration with its unit, such as 500ms, 10s, 24h or 7d", parseDuration, showDuration)
}

func size() kind[int64] {
	return scalar("size", "a size, such as 65536, 512KiB or 8MiB", units.RAMInBytes, showSize)
}

func level() kind[slog.Level] {
	parse := func(s string) (l slog.Level, err error) {
		err = l.UnmarshalText([]byte(s))
		return l, err
	}
	return scalar("level", "debug, info, warn or error", parse, func(l slog.Level) string { return strings.ToLower(l.String()) })
}

// parseDuration reads Go's durations and whole or broken days.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		f, err := strconv.ParseFloat(days, 64)
		if err != nil || math.IsNaN(f) || math.Abs(f) > 36500 {
			return 0, strconv.ErrSyntax
		}
		return time.Duration(f * float64(24*time.Hour)), nil
	}
	return time.ParseDuration(s)
}

// showDuration drops the zero parts that Duration.String leaves: 24h and not 24h0m0s.
func showDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// showSize shows whole binary units where there are any.
func showSize(n int64) string {
	for i, unit := range []string{"GiB", "MiB", "KiB"} {
		if shift := 30 - 10*i; n != 0 && n%(1<<shift) == 0 {
			return strconv.FormatInt(n>>shift, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}

func showFloat(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
