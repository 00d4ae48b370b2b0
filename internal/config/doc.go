// Package config holds the settings of the relay. Every setting can be given in one YAML file, in the environment and as a
// flag; where it is given more than once, the flag wins over the environment, the environment over the file, the file over
// the default.
//
// settings.go is the one list they all come from: the YAML keys, the names of the variables and flags, the texts of --help,
// docs/configuration.md and the rules. Load reports every mistake at once, because a relay that is corrected and restarted
// once per mistake is a relay that is down for longer than it need be.
package config
