package stack

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// artifact is one published Maven artifact.
type artifact struct {
	Group    string `xml:"groupId"`
	Artifact string `xml:"artifactId"`
	Version  string `xml:"version"`
}

// pom is the smallest project that has artifacts as its dependencies. Maven
// finds its repositories, mirrors and proxies in the user's own settings.
type pom struct {
	XMLName      xml.Name   `xml:"http://maven.apache.org/POM/4.0.0 project"`
	ModelVersion string     `xml:"modelVersion"`
	Group        string     `xml:"groupId"`
	Artifact     string     `xml:"artifactId"`
	Version      string     `xml:"version"`
	Packaging    string     `xml:"packaging"`
	Dependencies []artifact `xml:"dependencies>dependency"`
}

// copyArtifacts puts the artifacts and everything they need into dir as files.
func copyArtifacts(ctx context.Context, dir string, artifacts ...artifact) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return &MissingError{What: []Prerequisite{Maven}}
	}
	project, err := xml.MarshalIndent(pom{
		ModelVersion: "4.0.0", Group: "outbox-relay", Artifact: "stack", Version: "1",
		Packaging: "pom", Dependencies: artifacts,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the Maven project: %w", err)
	}
	work, err := os.MkdirTemp("", "outbox-relay-maven-")
	if err != nil {
		return fmt.Errorf("make a folder for Maven: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // A leftover in a temporary folder.
	file := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(file, project, 0o644); err != nil {
		return fmt.Errorf("write the Maven project: %w", err)
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, mvn, "--batch-mode", "--quiet", "--file", file,
		"dependency:copy-dependencies", "-DoutputDirectory="+dir)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("fetch %s %s through Maven: %w: %s",
			artifacts[0].Artifact, artifacts[0].Version, err, lastLines(output.String(), 5))
	}
	return nil
}

// lastLines returns the end of a log for an error message.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
