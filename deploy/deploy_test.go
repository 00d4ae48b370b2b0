// Package deploy_test checks that the example deployments use settings that the relay has.
package deploy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/outbox-relay/outbox-relay/internal/config"
)

// documents reads a YAML file as JSON, one per document, where paths are easy to ask for.
func documents(t *testing.T, path string) []gjson.Result {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []gjson.Result
	for text := range strings.SplitSeq(string(content), "\n---\n") {
		values, err := yaml.Parser().Unmarshal([]byte(text))
		require.NoError(t, err)
		asJSON, err := json.Marshal(values)
		require.NoError(t, err)
		out = append(out, gjson.ParseBytes(asJSON))
	}
	return out
}

func TestKubernetesSettingsAreRight(t *testing.T) {
	t.Parallel()
	byKind := map[string]gjson.Result{}
	for _, doc := range documents(t, "kubernetes/outbox-relay.yaml") {
		byKind[doc.Get("kind").String()] = doc
	}
	dir := t.TempDir()
	secret := filepath.Join(dir, "database-url")
	require.NoError(t, os.WriteFile(secret, []byte(byKind["Secret"].Get("stringData.database-url").String()), 0o600))
	file := filepath.Join(dir, "relay.yaml")
	settings := byKind["ConfigMap"].Get(`data.relay\.yaml`).String()
	settings = strings.ReplaceAll(settings, "/etc/outbox-relay/secret/database-url", secret)
	require.NoError(t, os.WriteFile(file, []byte(settings), 0o600))

	pod := byKind["Deployment"].Get("spec.template.spec")
	relay := pod.Get("containers.0")
	environ := []string{"OUTBOX_RELAY_CONFIG=" + file}
	for _, variable := range relay.Get("env").Array() {
		if name := variable.Get("name").String(); name != "OUTBOX_RELAY_CONFIG" {
			environ = append(environ, name+"=outbox-relay-6d5f-x2x4q")
		}
	}
	cfg, err := config.Load(config.Input{Environ: environ}, config.NeedAll)
	require.NoError(t, err)
	require.Len(t, cfg.Topics, 2)
	require.Equal(t, "outbox-relay-6d5f-x2x4q", cfg.Instance)
	grace := time.Duration(pod.Get("terminationGracePeriodSeconds").Int()) * time.Second
	require.Greater(t, grace, cfg.Shutdown.Grace, "the relay needs its own grace period")
	require.Equal(t, ":9090", cfg.HTTP.Listen)
	require.EqualValues(t, 9090, relay.Get("ports.0.containerPort").Int())
	require.Equal(t, "/healthz", relay.Get("livenessProbe.httpGet.path").String())
	require.Equal(t, "/readyz", relay.Get("readinessProbe.httpGet.path").String())
	require.Equal(t, `["migrate","up"]`, pod.Get("initContainers.0.args").Raw)
	for _, container := range append(pod.Get("initContainers").Array(), relay) {
		require.True(t, container.Get("securityContext.readOnlyRootFilesystem").Bool(), container.Get("name"))
	}
	labels := byKind["Deployment"].Get("spec.template.metadata.labels").Raw
	require.JSONEq(t, labels, byKind["PodDisruptionBudget"].Get("spec.selector.matchLabels").Raw)
}

func TestComposeSettingsAreRight(t *testing.T) {
	t.Parallel()
	compose := documents(t, "../docker-compose.yml")[0]
	for _, service := range []string{"migrate", "relay"} {
		var environ []string
		for name, value := range compose.Get("services." + service + ".environment").Map() {
			environ = append(environ, name+"="+value.String())
		}
		cfg, err := config.Load(config.Input{Environ: environ}, config.NeedAll)
		require.NoError(t, err, service)
		require.Len(t, cfg.Topics, 2)
		grace, err := time.ParseDuration(compose.Get("services.relay.stop_grace_period").String())
		require.NoError(t, err)
		require.Greater(t, grace, cfg.Shutdown.Grace)
		topics := compose.Get("services.topics.command.2").String()
		for _, topic := range cfg.Topics {
			require.Contains(t, topics, topic.Name)
		}
	}
	require.Contains(t, compose.Get(`configs.broker\.conf.content`).String(), "brokerIP1=${BROKER_IP1:-broker}\n")
}
