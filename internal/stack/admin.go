package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

const adminClass = "org.apache.rocketmq.tools.command.MQAdminStartup"

func adminJVM() []string {
	return []string{"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
}

// Admin runs RocketMQ's mqadmin with the arguments, for example "queryMsgByKey",
// "-t", topic, "-k", key, against the name server, and returns what it prints.
// It takes two to five seconds.
func Admin(ctx context.Context, nameServer string, opts Options, args ...string) (string, error) {
	container, err := useContainers(ctx, opts, rocketMQImage(opts))
	if err != nil {
		return "", err
	}
	if container {
		return adminInContainer(ctx, nameServer, opts, args)
	}
	java, err := findJava()
	if err != nil {
		return "", err
	}
	jars, err := rocketMQJars(ctx, opts)
	if err != nil {
		return "", err
	}
	dir, err := newWorkDir(opts.Dir, "mqadmin")
	if err != nil {
		return "", err
	}
	if err := prepareHome(dir.path, opts.rocketMQVersion()); err != nil {
		return "", errors.Join(err, dir.remove())
	}
	if err := opts.Secure.writeTools(dir.path); err != nil {
		return "", errors.Join(err, dir.remove())
	}
	flags := javaArgs(jars, dir.path, adminClass, adminJVM()...)
	cmd := exec.CommandContext(ctx, java, append(flags, args...)...)
	cmd.Env = append(os.Environ(), "NAMESRV_ADDR="+nameServer)
	output, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("run mqadmin: %w: %s", err, lastLines(string(output), 5))
	}
	return string(output), errors.Join(err, dir.remove())
}
