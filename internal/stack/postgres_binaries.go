package stack

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/ulikunitz/xz"
)

// oldestPostgres is the oldest major version that the relay works on.
const oldestPostgres = 14

func (o Options) postgresVersion() string {
	if o.PostgresVersion != "" {
		return o.PostgresVersion
	}
	if version := os.Getenv("OUTBOX_TEST_PG_VERSION"); version != "" {
		return version
	}
	return DefaultPostgresVersion
}

// postgresBinaries returns a folder with initdb and postgres, which it fetches
// if need be.
func postgresBinaries(ctx context.Context, opts Options, account *user.User) (string, error) {
	if bin := findPostgres(opts); bin != "" {
		return bin, nil
	}
	dir := postgresDirFor(opts.postgresVersion(), account)
	err := fillOnce(ctx, dir, func(tmp string) error {
		opts.logger().LogAttrs(ctx, slog.LevelInfo, "fetching PostgreSQL through Maven, once",
			slog.String("version", opts.postgresVersion()), slog.String("into", dir))
		return fetchPostgres(ctx, tmp, opts.postgresVersion())
	})
	var missing *MissingError
	if errors.As(err, &missing) {
		return "", &MissingError{What: []Prerequisite{Database}}
	}
	return filepath.Join(dir, "bin"), err
}

// findPostgres returns the folder of the chosen or of the newest installed
// PostgreSQL, or nothing if a published binary is wanted or needed.
func findPostgres(opts Options) string {
	if opts.PostgresBin != "" {
		return opts.PostgresBin
	}
	if opts.PostgresVersion != "" {
		return ""
	}
	if bin := os.Getenv("OUTBOX_TEST_PG_BIN"); bin != "" {
		return bin
	}
	if os.Getenv("OUTBOX_TEST_PG_VERSION") != "" {
		return ""
	}
	newest, found := oldestPostgres-1, ""
	servers, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // The pattern is well-formed.
	if onPath, err := exec.LookPath("postgres"); err == nil {
		servers = append(servers, onPath)
	}
	for _, server := range servers {
		if major := postgresMajor(server); major > newest && exists(filepath.Join(filepath.Dir(server), "initdb")) {
			newest, found = major, filepath.Dir(server)
		}
	}
	return found
}

// postgresMajor asks a server program for its version: "postgres (PostgreSQL) 15.12 (Debian …)".
func postgresMajor(server string) int {
	output, err := exec.Command(server, "--version").Output() //nolint:noctx // It answers at once.
	if err != nil {
		return 0
	}
	_, version, _ := strings.Cut(string(output), "(PostgreSQL) ")
	digits := version[:len(version)-len(strings.TrimLeft(version, "0123456789"))]
	major, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return major
}

func postgresDir(version string) string {
	account, err := serverAccount()
	if err != nil {
		return ""
	}
	return postgresDirFor(version, account)
}

func postgresDirFor(version string, account *user.User) string {
	return filepath.Join(cacheDir(account), "postgres-"+version)
}

// fetchPostgres unpacks the published binaries into dir. They are a jar with one
// compressed archive in it.
func fetchPostgres(ctx context.Context, dir, version string) error {
	arch := runtime.GOARCH
	if arch == "arm64" {
		arch = "arm64v8"
	}
	work, err := os.MkdirTemp("", "outbox-relay-postgres-")
	if err != nil {
		return fmt.Errorf("make a folder for PostgreSQL's archive: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // A leftover in a temporary folder.
	err = copyArtifacts(ctx, work, artifact{
		Group:    "io.zonky.test.postgres",
		Artifact: "embedded-postgres-binaries-" + runtime.GOOS + "-" + arch,
		Version:  version,
	})
	if err != nil {
		return err
	}
	jars, _ := filepath.Glob(filepath.Join(work, "*.jar")) // The pattern is well-formed.
	if len(jars) != 1 {
		return fmt.Errorf("unpack PostgreSQL %s: want one jar, got %d", version, len(jars))
	}
	if err := unpackJar(jars[0], dir); err != nil {
		return fmt.Errorf("unpack PostgreSQL %s: %w", version, err)
	}
	return nil
}

func unpackJar(jar, dir string) error {
	reader, err := zip.OpenReader(jar)
	if err != nil {
		return err
	}
	defer reader.Close() //nolint:errcheck // Only read.
	for _, entry := range reader.File {
		if !strings.HasSuffix(entry.Name, ".txz") {
			continue
		}
		archive, err := entry.Open()
		if err != nil {
			return err
		}
		defer archive.Close() //nolint:errcheck // Only read, and there is one.
		plain, err := xz.NewReader(bufio.NewReaderSize(archive, 1<<20))
		if err != nil {
			return err
		}
		return untar(tar.NewReader(plain), dir)
	}
	return errors.New("the jar holds no archive")
}

func untar(archive *tar.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // Only a handle.
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := untarEntry(root, header, archive); err != nil {
			return err
		}
	}
}

func untarEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.Clean(header.Name)
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if header.Mode&0o100 != 0 {
			mode = 0o755
		}
		file, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
		if err != nil {
			return err
		}
		if _, err := io.Copy(file, content); err != nil {
			_ = file.Close()
			return err
		}
		return file.Close()
	default:
		return nil
	}
}
