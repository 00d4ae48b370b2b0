package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

func jarDir(version string) string {
	return filepath.Join(cacheDir(nil), "rocketmq-"+version)
}

// rocketMQJars returns the folder with the jars of the name server, the broker
// and mqadmin (about 85 MB), which it fetches if need be.
func rocketMQJars(ctx context.Context, opts Options) (string, error) {
	version := opts.rocketMQVersion()
	dir := jarDir(version)
	err := fillOnce(ctx, dir, func(tmp string) error {
		opts.logger().LogAttrs(ctx, slog.LevelInfo, "fetching RocketMQ through Maven, once",
			slog.String("version", version), slog.String("into", dir))
		var wanted []artifact
		for _, name := range []string{"rocketmq-namesrv", "rocketmq-broker", "rocketmq-tools"} {
			wanted = append(wanted, artifact{Group: "org.apache.rocketmq", Artifact: name, Version: version})
		}
		return copyArtifacts(ctx, tmp, wanted...)
	})
	return dir, err
}

// javaArgs are the arguments up to and with the main class. RocketMQ logs below
// user.home, wants some existing folder as its own home and leaves the keys of a
// self-signed certificate in Java's temporary folder.
func javaArgs(jars, home, class string, flags ...string) []string {
	args := append([]string{
		"-Duser.home=" + home, "-Drocketmq.home.dir=" + home, "-Djava.io.tmpdir=" + home, "-XX:-UsePerfData",
	}, flags...)
	return append(args, "-cp", filepath.Join(jars, "*"), class)
}

// prepareHome makes the logging configuration that RocketMQ 4.9 does not start
// without; later versions ignore it.
func prepareHome(home, version string) error {
	if !strings.HasPrefix(version, "4.") {
		return nil
	}
	conf := filepath.Join(home, "conf")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return fmt.Errorf("make the configuration folder: %w", err)
	}
	const logback = `<configuration><root level="WARN"/></configuration>`
	for _, name := range []string{"namesrv", "broker", "tools"} {
		if err := os.WriteFile(filepath.Join(conf, "logback_"+name+".xml"), []byte(logback), 0o644); err != nil {
			return fmt.Errorf("write the logging configuration: %w", err)
		}
	}
	return nil
}

// newJava prepares a Java server: its folder and its ports. Call close if it is
// not started.
func newJava(ctx context.Context, opts Options, name string) (run *native, java, jars string, err error) {
	if java, err = findJava(); err != nil {
		return nil, "", "", err
	}
	if jars, err = rocketMQJars(ctx, opts); err != nil {
		return nil, "", "", err
	}
	run = &native{}
	if run.dir, err = newWorkDir(opts.Dir, name); err != nil {
		return nil, "", "", err
	}
	run.logPath = run.dir.join(name + ".log")
	if run.ports, err = reservePorts(); err != nil {
		return nil, "", "", errors.Join(err, run.dir.remove())
	}
	if err = prepareHome(run.dir.path, opts.rocketMQVersion()); err != nil {
		return nil, "", "", errors.Join(err, run.close())
	}
	return run, java, jars, nil
}

// writeProperties writes a Java properties file of plain names and values.
func writeProperties(path string, properties map[string]string) error {
	if err := os.WriteFile(path, []byte(propertyLines(properties)), 0o644); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}
