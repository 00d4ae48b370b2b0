package config

import "strconv"

func profileSettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "http.pprof", Default: "false",
			Doc: "Serves Go's profiles below /debug/pprof/ beside the metrics. Whoever can reach them learns what the process does and " +
				"can slow it down: on an address that only operators reach.",
		}, scalar("boolean", "true or false", strconv.ParseBool, strconv.FormatBool), func(c *Config) *bool { return &c.HTTP.Pprof }),
	}
}
