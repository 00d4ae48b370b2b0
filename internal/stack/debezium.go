package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// DebeziumVersion is the newest whose server is published as a whole.
const DebeziumVersion = "3.6.0.Final"

// debeziumJava is the oldest Java that it runs on.
const debeziumJava = 21

// Java21 is what Debezium Server needs. Debian 12 has no package of it.
const Java21 Prerequisite = "Java 21 or newer, in JAVA_HOME, OUTBOX_BENCH_JAVA or the system's folder of Java machines, for Debezium Server"

// DebeziumServer returns a Java that is new enough and the folder of Debezium Server (780 MB), which is fetched if need be.
func DebeziumServer(ctx context.Context, opts Options) (java, dir string, err error) {
	if java = findJava21(ctx); java == "" {
		return "", "", &MissingError{What: []Prerequisite{Java21}, Native: true}
	}
	dir = filepath.Join(cacheDir(nil), "debezium-server-"+DebeziumVersion)
	return java, filepath.Join(dir, "debezium-server"), fillOnce(ctx, dir, func(tmp string) error {
		mvn, err := exec.LookPath("mvn")
		if err != nil {
			return &MissingError{What: []Prerequisite{Maven}, Native: true}
		}
		opts.logger().LogAttrs(ctx, slog.LevelInfo, "fetching Debezium Server through Maven, once", slog.String("version", DebeziumVersion))
		artifact := "io.debezium:debezium-server-dist:" + DebeziumVersion + ":tar.gz"
		output, err := exec.CommandContext(ctx, mvn, "--batch-mode", "--quiet", "org.apache.maven.plugins:maven-dependency-plugin:copy",
			"-Dartifact="+artifact, "-DoutputDirectory="+tmp).CombinedOutput()
		if err != nil {
			return fmt.Errorf("fetch %s through Maven: %w: %s", artifact, err, lastLines(string(output), 5))
		}
		archive := filepath.Join(tmp, "debezium-server-dist-"+DebeziumVersion+".tar.gz")
		if output, err := exec.CommandContext(ctx, "tar", "-xzf", archive, "-C", tmp).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack Debezium Server: %w: %s", err, lastLines(string(output), 5))
		}
		return errors.Join(os.Remove(archive))
	})
}

// findJava21 looks in JAVA_HOME, OUTBOX_BENCH_JAVA, on PATH and where systems keep their Java machines.
func findJava21(ctx context.Context) string {
	homes, _ := filepath.Glob("/usr/lib/jvm/*") // The pattern is well-formed.
	homes = append([]string{os.Getenv("OUTBOX_BENCH_JAVA"), os.Getenv("JAVA_HOME")}, homes...)
	var candidates []string
	for _, home := range homes {
		if home != "" {
			candidates = append(candidates, filepath.Join(home, "bin", "java"))
		}
	}
	if java, err := exec.LookPath("java"); err == nil {
		candidates = append(candidates, java)
	}
	for _, java := range candidates {
		output, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
		if err == nil && javaVersion(string(output)) >= debeziumJava {
			return java
		}
	}
	return ""
}

// javaVersion reads the first number of `openjdk version "21.0.2"`; old ones say "1.8.0".
func javaVersion(text string) int {
	found := regexp.MustCompile(`version "(\d+)`).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1]) // It is digits.
	return n
}
