package stack

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/child"
)

// This test program also plays the other process that starts servers at the
// same time or is killed while it has some: TestMain is then one of these.
func TestMain(m *testing.M) {
	switch os.Getenv("STACK_TEST_PLAY") {
	case "":
		goleak.VerifyTestMain(m)
	case "reserve":
		play(playReserve)
	case "servers":
		play(playServers)
	case "engine":
		play(playEngine)
	}
}

func play(act func(context.Context) error) {
	if err := act(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// playReserve prints the first ports of ten slots and holds them until its
// standard input ends.
func playReserve(context.Context) error {
	var firsts []string
	for range 10 {
		ports, err := reservePorts()
		if err != nil {
			return err
		}
		firsts = append(firsts, strconv.Itoa(ports.first))
	}
	fmt.Println(strings.Join(firsts, " "))
	awaitEndOfInput()
	return nil
}

// playServers starts all servers, prints their process ids and folders and waits
// to be killed.
func playServers(ctx context.Context) error {
	servers, err := Start(ctx, Options{Engine: EngineNative, Dir: os.Getenv("STACK_TEST_DIR")})
	if err != nil {
		return err
	}
	pids := []int{servers.Postgres.PID(), servers.NameServer.PID(), servers.Broker.PID()}
	fmt.Println(strings.Trim(fmt.Sprint(append(pids, child.Of(pids[0])...)), "[]"))
	awaitEndOfInput()
	return nil
}

func awaitEndOfInput() {
	_, _ = os.Stdin.Read(make([]byte, 1))
}
