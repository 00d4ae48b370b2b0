package stack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Prerequisite is a program that must be installed for the servers to start.
type Prerequisite string

// The prerequisites of the native way, with what to install.
const (
	Java     Prerequisite = "Java 8 or newer (on Debian: apt-get install default-jre-headless)"
	Maven    Prerequisite = "Maven, which fetches the servers' published files once (on Debian: apt-get install maven)"
	Database Prerequisite = "PostgreSQL 14 or newer (on Debian: apt-get install postgresql)"
	Replica  Prerequisite = "PostgreSQL with its pg_basebackup, for a standby (on Debian: apt-get install postgresql)"
	Compiler Prerequisite = "a C compiler, for a broker whose disk is slow or full (on Debian: apt-get install gcc libc6-dev)"
	FakeTime Prerequisite = "libfaketime, for a broker whose clock is wrong (on Debian: apt-get install faketime)"
)

// MissingError names everything that has to be installed, in one sentence.
type MissingError struct {
	What []Prerequisite
	// Native means that Docker is no way around it.
	Native bool
}

func (e *MissingError) Error() string {
	names := make([]string, len(e.What))
	for i, what := range e.What {
		names[i] = string(what)
	}
	if e.Native {
		return "install " + strings.Join(names, ", and ")
	}
	return "neither a Docker engine that can run the servers nor what replaces it was found: start Docker, or install " +
		strings.Join(names, ", and ")
}

// checkPrerequisites finds everything that is missing to run all servers natively,
// so that nobody installs one thing to be told of the next.
func checkPrerequisites(opts Options) error {
	var missing []Prerequisite
	if _, err := findJava(); err != nil {
		missing = append(missing, Java)
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		if !exists(jarDir(opts.rocketMQVersion())) {
			missing = append(missing, Maven)
		}
		if findPostgres(opts) == "" && !exists(postgresDir(opts.postgresVersion())) {
			missing = append(missing, Database)
		}
	}
	if len(missing) > 0 {
		return &MissingError{What: missing}
	}
	return nil
}

// findJava returns the java of JAVA_HOME, else the one on PATH.
func findJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		if java := filepath.Join(home, "bin", "java"); exists(java) {
			return java, nil
		}
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", &MissingError{What: []Prerequisite{Java}}
	}
	return java, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
