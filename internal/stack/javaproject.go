package stack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// JDK is what the examples in Java are built with.
const JDK Prerequisite = "a JDK, for its javac (on Debian: apt-get install default-jdk-headless)"

// BuildJava builds the Maven project of a folder in dir, a copy, so that nothing is
// written into the sources, and returns the command that runs its classes: add
// flags and the main class. What is not installed is a [MissingError].
func BuildJava(ctx context.Context, sources, dir string) (command []string, err error) {
	var missing []Prerequisite
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		missing = append(missing, Maven)
	}
	if _, err := exec.LookPath("javac"); err != nil {
		missing = append(missing, JDK)
	}
	if len(missing) > 0 {
		return nil, &MissingError{What: missing, Native: true}
	}
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(dir, os.DirFS(sources)); err != nil {
		return nil, fmt.Errorf("copy the Java project %s: %w", sources, err)
	}
	// Maven's own folder is not made for two that fetch the same files at once.
	if err := os.MkdirAll(cacheDir(nil), 0o755); err != nil {
		return nil, fmt.Errorf("make the cache folder: %w", err)
	}
	lock, err := waitLock(ctx, filepath.Join(cacheDir(nil), "maven.lock"))
	if err != nil {
		return nil, err
	}
	defer lock.unlock()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, mvn, "--batch-mode", "--quiet", "package", "dependency:copy-dependencies", "-DoutputDirectory=target/lib")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &output, &output
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build the Java project %s: %w: %s", sources, err, lastLines(output.String(), 20))
	}
	classes := filepath.Join(dir, "target", "*") + string(os.PathListSeparator) + filepath.Join(dir, "target", "lib", "*")
	return []string{java, "-cp", classes}, nil
}
