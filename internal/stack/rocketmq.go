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
	return fetchJars(ctx, opts, jarDir(opts.rocketMQVersion()), "rocketmq-namesrv", "rocketmq-broker", "rocketmq-tools")
}

// proxyJars returns the folder with the jars of the proxy, which has a broker in it.
func proxyJars(ctx context.Context, opts Options) (string, error) {
	return fetchJars(ctx, opts, filepath.Join(cacheDir(nil), "rocketmq-proxy-"+opts.rocketMQVersion()), "rocketmq-proxy")
}

func fetchJars(ctx context.Context, opts Options, dir string, names ...string) (string, error) {
	version := opts.rocketMQVersion()
	err := fillOnce(ctx, dir, func(tmp string) error {
		opts.logger().LogAttrs(ctx, slog.LevelInfo, "fetching RocketMQ through Maven, once",
			slog.String("version", version), slog.String("into", dir))
		var wanted []artifact
		for _, name := range names {
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
	const logback = `<configuration><appender name="console" class="ch.qos.logback.core.ConsoleAppender">` +
		`<encoder><pattern>%d %p %logger %m%n</pattern></encoder></appender>` +
		`<root level="WARN"><appender-ref ref="console"/></root></configuration>`
	for _, name := range []string{"namesrv", "broker", "tools"} {
		if err := os.WriteFile(filepath.Join(conf, "logback_"+name+".xml"), []byte(logback), 0o644); err != nil {
			return fmt.Errorf("write the logging configuration: %w", err)
		}
	}
	return nil
}

// openJava lets brokers before 5.3 into what newer versions of Java hide: without it
// one that was killed does not start again. Java 8 does not know the option, nor does
// it read the variable.
func openJava(version string) []string {
	if !older(version, "5.3.0") {
		return nil
	}
	return []string{"JDK_JAVA_OPTIONS=--add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED " +
		"--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED"}
}

// newJava prepares a Java server: its folder and its ports. Call close if it is
// not started.
func newJava(ctx context.Context, opts Options, name string) (run *native, java, jars string, err error) {
	return newJavaFrom(ctx, opts, name, rocketMQJars)
}

// newJavaFrom is newJava with other jars.
func newJavaFrom(
	ctx context.Context, opts Options, name string, fetch func(context.Context, Options) (string, error),
) (run *native, java, jars string, err error) {
	if java, err = findJava(); err != nil {
		return nil, "", "", err
	}
	if jars, err = fetch(ctx, opts); err != nil {
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
