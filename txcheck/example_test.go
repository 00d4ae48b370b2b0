package txcheck_test

import (
	"fmt"
	"time"

	"github.com/outbox-relay/outbox-relay/txcheck"
)

// A half of another outbox means that two of them share a producer group: nobody may decide for the other.
func ExampleChecker_Check() {
	clock := func() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }
	checker, err := txcheck.New(txcheck.Options{
		Origin:    "6f1c0a3e-5b7d-4a57-9f0e-0d3c7d2b8a11",
		Window:    10 * time.Second,
		Clock:     clock,
		OnForeign: func(h txcheck.Half) { fmt.Println("warning: group", h.Group, "is shared with outbox", h.Origin) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	half := txcheck.Half{Topic: "orders", Group: "relay", Origin: "6f1c0a3e-5b7d-4a57-9f0e-0d3c7d2b8a11"}
	half.Born = clock().Add(-2 * time.Second)
	fmt.Println("two seconds old:", checker.Check(half))
	half.Born = clock().Add(-time.Minute)
	fmt.Println("a minute old:", checker.Check(half))
	half.Origin = "0b0e6c8c-4d57-4f0e-8a57-3f4c1f0f9b22"
	fmt.Println("not ours:", checker.Check(half))

	// Output:
	// two seconds old: unknown
	// a minute old: rollback
	// warning: group relay is shared with outbox 0b0e6c8c-4d57-4f0e-8a57-3f4c1f0f9b22
	// not ours: unknown
}
