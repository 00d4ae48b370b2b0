package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker: -X main.version=v1.2.3.
//
//nolint:gochecknoglobals // The linker can set nothing else.
var version string

// buildVersion is what this binary was made from.
type buildVersion struct {
	Name   string // v1.2.3, or what the Go command knows
	Commit string
	Time   string
	Dirty  bool // there were changes that were not committed
}

func readVersion() buildVersion {
	v := buildVersion{Name: version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Dirty = s.Value == "true"
		}
	}
	if v.Name == "" {
		v.Name = info.Main.Version
	}
	if v.Name == "" {
		v.Name = "unknown"
	}
	return v
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := readVersion()
			text := fmt.Sprintf("outbox-relay %s, %s %s/%s", v.Name, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			if v.Commit != "" {
				text += fmt.Sprintf(", commit %s of %s", v.Commit, v.Time)
			}
			if v.Dirty {
				text += ", with changes"
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
			return written(err)
		},
	}
}
