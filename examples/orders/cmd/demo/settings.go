package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// settings of one run.
type settings struct {
	duration  time.Duration // of the orders
	rate      float64       // orders a second, rolled back ones included
	rollback  float64       // share of orders that are rolled back
	customers int           // each is one ordering key
	killAfter time.Duration // after the first order; 0 = the relay is not killed
	down      time.Duration // from the kill to the restart
	drain     time.Duration // how long to wait for the last message
	linger    time.Duration // how long to listen for what should not come
	relay     string        // the relay's binary; "" = build it
	consumer  string        // who receives: the demo itself, or one of the examples
}

func defaultSettings() settings {
	return settings{
		duration:  20 * time.Second,
		rate:      200,
		rollback:  0.1,
		customers: 50,
		killAfter: 8 * time.Second,
		down:      time.Second,
		drain:     90 * time.Second,
		linger:    3 * time.Second,
		consumer:  consumerDemo,
	}
}

const envPrefix = "OUTBOX_DEMO_"

// parseSettings reads flags and, weaker, variables such as OUTBOX_DEMO_KILL_AFTER.
func parseSettings(args []string, getenv func(string) string, output io.Writer) (settings, error) {
	s := defaultSettings()
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.DurationVar(&s.duration, "duration", s.duration, "how long orders are written")
	flags.Float64Var(&s.rate, "rate", s.rate, "orders a second")
	flags.Float64Var(&s.rollback, "rollback", s.rollback, "share of the orders that are rolled back, 0 to 1")
	flags.IntVar(&s.customers, "customers", s.customers, "number of customers, each an ordering key")
	flags.DurationVar(&s.killAfter, "kill-after", s.killAfter, "when the relay is killed; 0: not at all")
	flags.DurationVar(&s.down, "down", s.down, "how long the relay stays down")
	flags.DurationVar(&s.drain, "drain", s.drain, "how long to wait for the last message")
	flags.DurationVar(&s.linger, "linger", s.linger, "how long to listen for messages that should not come")
	flags.StringVar(&s.relay, "relay", s.relay, "the relay's binary; built if not given")
	flags.StringVar(&s.consumer, "consumer", s.consumer, "who receives: demo, or the examples go or java (which needs Maven and a JDK)")

	var errs []error
	flags.VisitAll(func(f *flag.Flag) {
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v := getenv(name); v != "" {
			if err := f.Value.Set(v); err != nil {
				errs = append(errs, fmt.Errorf("%s=%s: %w", name, v, err))
			}
		}
	})
	if err := flags.Parse(args); err != nil {
		return settings{}, err
	}
	if flags.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	return s, errors.Join(append(errs, s.validate())...)
}

func (s settings) validate() error {
	var errs []error
	must := func(ok bool, rule string) {
		if !ok {
			errs = append(errs, errors.New(rule))
		}
	}
	must(s.duration > 0, "-duration must be above 0")
	must(s.rate > 0 && s.rate <= 5000, "-rate must be above 0 and at most 5000")
	must(s.rollback >= 0 && s.rollback < 1, "-rollback must be at least 0 and below 1")
	must(s.customers > 0, "-customers must be above 0")
	must(s.killAfter >= 0 && s.killAfter < s.duration, "-kill-after must be at least 0 and below -duration")
	must(s.down >= 0, "-down must be at least 0")
	must(s.drain > 0, "-drain must be above 0")
	must(s.linger >= 0, "-linger must be at least 0")
	must(s.consumer == consumerDemo || s.consumer == consumerGo || s.consumer == consumerJava, "-consumer must be demo, go or java")
	return errors.Join(errs...)
}
