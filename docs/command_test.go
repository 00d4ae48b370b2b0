package docs_test

import (
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// commands returns what people are told to type with a program, without its name: in sh blocks and between backticks.
// "a|b|c" stands for three commands, and in a list the program is named once: `program one`, `two`, `three`.
func commands(t *testing.T, program string) []string {
	t.Helper()
	var all []string
	for _, document := range append(documents(t), examples()...) {
		text := read(t, document)
		list := regexp.MustCompile("`" + program + " [^`\n]+`(?:,\\s`[^`\n]+`)+")
		lines := spans(list.ReplaceAllStringFunc(text, func(found string) string {
			return regexp.MustCompile(",\\s`").ReplaceAllString(found, " `"+program+" ")
		}))
		for _, block := range blocks(text, "sh") {
			lines = append(lines, strings.Split(block, "\n")...)
		}
		for _, line := range lines {
			line, _, _ = strings.Cut(line, "#")
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), program+" "); ok {
				all = append(all, alternatives(strings.TrimSpace(rest))...)
			}
		}
	}
	return all
}

func alternatives(command string) []string {
	words := strings.Fields(command)
	for i, word := range words {
		if !strings.Contains(word, "|") {
			continue
		}
		var all []string
		for choice := range strings.SplitSeq(word, "|") {
			words[i] = choice
			all = append(all, strings.Join(words, " "))
		}
		return all
	}
	return []string{command}
}

func TestMakeTargetsExist(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	named := commands(t, "make")
	require.Contains(t, named, "demo")
	require.Contains(t, named, "test")
	for _, target := range named {
		require.Regexp(t, `(?m)^`+regexp.QuoteMeta(target)+`:.*## `, makefile, "make %s", target)
	}
}

// TestOnlyKnownProgramsAreTyped keeps commands out of the README that no test runs.
func TestOnlyKnownProgramsAreTyped(t *testing.T) {
	t.Parallel()
	for _, document := range documents(t) {
		for _, block := range blocks(read(t, document), "sh") {
			for line := range strings.Lines(block) {
				if words := strings.Fields(line); len(words) > 0 {
					require.Contains(t, []string{"make", "outbox-relay", "export"}, words[0], document)
				}
			}
		}
	}
}

// TestComposeHeaderIsRight checks what can be checked without Docker: the services and topics it names. TestSQLRuns runs its SQL.
func TestComposeHeaderIsRight(t *testing.T) {
	t.Parallel()
	header, body, _ := strings.Cut(read(t, "docker-compose.yml"), "\nname:")
	services := regexp.MustCompile(`docker compose exec (\w+) |--scale (\w+)=`).FindAllStringSubmatch(header, -1)
	require.Len(t, services, 3)
	for _, found := range services {
		require.Contains(t, body, "\n  "+found[1]+found[2]+":\n")
	}
	require.Regexp(t, `(?m)for topic in .*\b`+regexp.MustCompile(`-t (\w+)`).FindStringSubmatch(header)[1]+`\b`, body)
	require.Contains(t, body, "namesrv:9876", "mqadmin asks the name server there")
	require.Contains(t, header, "go run ./cmd/outbox-relay run")
	variable := regexp.MustCompile(`(?m)^# +(\w+)=127\.0\.0\.1 docker compose`).FindStringSubmatch(header)
	require.Len(t, variable, 2)
	require.Contains(t, body, "brokerIP1=${"+variable[1]+":-broker}")
}

// TestCommands needs the program, which is built once.
func TestCommands(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "outbox-relay")
	out, err := osexec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "../cmd/outbox-relay").CombinedOutput()
	require.NoError(t, err, string(out))

	t.Run("exist", func(t *testing.T) {
		t.Parallel()
		named := commands(t, "outbox-relay")
		for _, must := range []string{"run", "status", "migrate up", "migrate down", "config check", "grants", "version"} {
			require.Contains(t, named, must)
		}
		for _, command := range named {
			help := osexec.CommandContext(t.Context(), program, append(strings.Fields(command), "--help")...)
			help.Env = []string{"PATH=" + os.Getenv("PATH")}
			out, err := help.CombinedOutput()
			require.NoError(t, err, "%s: %s", command, out)
			words, _, _ := strings.Cut(command, " -")
			// For a word too many it would show the help of the words before.
			require.Regexp(t, `(?m)^  outbox-relay `+words+`( \[|$)`, string(out))
		}
	})
	t.Run("run it", func(t *testing.T) {
		t.Parallel()
		runIt(t, program)
	})
}
