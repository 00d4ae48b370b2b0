package stack

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// playEngine says what is chosen. It is another process because the library
// remembers the engine that it found first.
func playEngine(ctx context.Context) error {
	for _, engine := range []Engine{EngineAuto, EngineNative, EngineDocker} {
		container, err := useContainers(ctx, Options{Engine: engine}, "postgres:17")
		fmt.Println(engine, container, err)
	}
	return nil
}

func TestEngineWithoutDocker(t *testing.T) {
	t.Parallel()
	lines := playLines(t, "engine", "DOCKER_HOST=unix:///nonexistent/docker.sock", "HOME="+t.TempDir(), EnvEngine+"=")
	require.Len(t, lines, 3)
	require.Equal(t, "auto false <nil>", lines[0])
	require.Equal(t, "native false <nil>", lines[1])
	require.True(t, strings.HasPrefix(lines[2], "docker false OUTBOX_STACK asks for Docker: "), lines[2])
}

func TestImageOfAVersion(t *testing.T) {
	for version, want := range map[string]string{"": "postgres:17", "14.24.0": "postgres:14.24", "18.6": "postgres:18.6"} {
		t.Setenv("OUTBOX_TEST_PG_VERSION", version)
		require.Equal(t, want, postgresImage(Options{}))
	}
	require.Equal(t, "postgres:16.1", postgresImage(Options{PostgresVersion: "16.1.0"}))
	t.Setenv("OUTBOX_TEST_ROCKETMQ_VERSION", "5.1.4")
	require.Equal(t, "apache/rocketmq:5.1.4", rocketMQImage(Options{}))
	require.Equal(t, "apache/rocketmq:5.5.0", rocketMQImage(Options{RocketMQVersion: "5.5.0"}))
}

func TestAddressesGoThroughTheEnvironment(t *testing.T) {
	t.Parallel()
	there := Addresses{Postgres: "postgres://x?sslmode=disable", NameServer: "127.0.0.1:1", Broker: "127.0.0.1:2", Engine: EngineNative}
	env := map[string]string{}
	for _, variable := range there.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	here, ok := AddressesFromEnv(func(name string) string { return env[name] })
	require.True(t, ok)
	require.Equal(t, there, here)
	delete(env, EnvBroker)
	_, ok = AddressesFromEnv(func(name string) string { return env[name] })
	require.False(t, ok, "half a set of servers is none")
}
