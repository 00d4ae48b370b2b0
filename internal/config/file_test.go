package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Every mistake of a file is reported at the line where it is, however the file is laid out.
func TestMistakesNameTheirLines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		yaml string
		want []string // line: key, of each mistake
	}{
		"block style":              {"# a comment\n\nbatch:\n  # another\n  rows: 0\n  in_flight: 0\n", []string{"5: batch.rows", "6: batch.in_flight"}},
		"flow style":               {"batch: {rows: 0,\n  in_flight: 0}\n", []string{"1: batch.rows", "2: batch.in_flight"}},
		"dots":                     {"window: 10s\nbatch.rows: 0\n", []string{"2: batch.rows"}},
		"a list item":              {"nameservers:\n  - a:1\n  - b\n\n  - c\n", []string{"3: nameservers[1]", "5: nameservers[2]"}},
		"a list on one line":       {"\nnameservers: [a:1, b, c]\n", []string{"2: nameservers[1]", "2: nameservers[2]"}},
		"a list as text":           {"nameservers: >-\n  a:1,\n  b\n", []string{"1: nameservers[1]"}},
		"a field of a list item":   {"topics:\n  - name: a\n    type: queue\n  - {name: b,\n     on_dead: x}\n", []string{"3: topics[0].type", "5: topics[1].on_dead"}},
		"a missing field":          {"topics:\n  - a\n  - on_dead: skip\n", []string{"3: topics[1].name"}},
		"a field that is unknown":  {"topics:\n  - name: a\n    partitions: 3\n", []string{"3: topics[0].partitions"}},
		"a key that is unknown":    {"window: 10s\nwindwo: 10s\n", []string{"2: windwo"}},
		"below an unknown key":     {"kafka:\n  brokers:\n    - a\n", []string{"2: kafka.brokers"}},
		"no value":                 {"batch:\n  rows:\n", []string{"2: batch.rows"}},
		"a value for a section":    {"\n\nbatch: 3\n", []string{"3: batch"}},
		"a section for a value":    {"window:\n  seconds: 3\n", []string{"1: window"}},
		"after a byte order mark":  {"\ufeffwindow: 10s\nbatch: {rows: 0}\n", []string{"2: batch.rows"}},
		"with DOS line ends":       {"window: 10s\r\nbatch:\r\n  rows: 0\r\n", []string{"3: batch.rows"}},
		"after a document's start": {"%YAML 1.1\n---\nconnections: 6\n", []string{"3: connections"}},
		"by an anchor":             {"instance: &x a b\ngroup: *x\n", []string{"2: group", "1: instance"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(input(t, test.yaml, nil), NeedNothing)
			var ms Mistakes
			require.ErrorAs(t, err, &ms)
			var got []string
			for _, m := range ms {
				got = append(got, m.Source[strings.LastIndexByte(m.Source, ':')+1:]+": "+m.Key)
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestValuesInEveryYAMLForm(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		"batch: {rows: 7}":                       "batch.rows=7",
		"batch: {rows: '7'}":                     "batch.rows=7",
		"batch: {rows: \"7\"}":                   "batch.rows=7",
		"batch.rows: 7":                          "batch.rows=7",
		"batch:\n  rows: 0x10":                   "batch.rows=16",
		"batch: {bytes: 65536}":                  "batch.bytes=64KiB",
		"batch: {bytes: 1.5MiB}":                 "batch.bytes=1536KiB",
		"retry: {factor: 2}":                     "retry.factor=2",
		"retry: {jitter: .5}":                    "retry.jitter=0.5",
		"retry: {jitter: 1e-1}":                  "retry.jitter=0.1",
		"group: 'two'":                           "group=two",
		"group: 7":                               "group=7",
		"instance: no":                           "instance=no",
		"http: {listen: off}":                    "http.listen=off",
		"http: {listen: false}":                  "http.listen=off",
		"retention: 1.5d":                        "retention=36h",
		"nameservers: a:1":                       "nameservers=a:1",
		"nameservers: [a:1, 'http://b:2']":       "nameservers=a:1,b:2",
		"nameservers:\n- a:1\n- b:2":             "nameservers=a:1,b:2",
		"topics: [{name: a, on_dead: skip}]":     "topics=a:transaction:skip:exactly_once",
		"x: &t {name: a}\ntopics: [*t]\n":        "", // x is unknown: anchors need a place, and there is none
		"topics: [&t {name: a}]\ngroup: g\n":     "topics=a:transaction:block:exactly_once",
		"database: {url: 'host=h dbname=d'}":     "database.url=postgres://h:5432/d",
		"window: !!str 11s":                      "window=11s",
		"database:\n  schema: |-\n    two words": "database.schema=two words",
	} {
		c, err := Load(input(t, yaml, nil), NeedNothing)
		if want == "" {
			require.ErrorContains(t, err, "x.name: is unknown", yaml)
			continue
		}
		require.NoError(t, err, yaml)
		key, value, _ := strings.Cut(want, "=")
		got := origin(t, c, key).Value
		if key == "database.url" { // the user is the one who runs the tests
			got = got[:len("postgres://")] + got[strings.IndexByte(got, '@')+1:]
		}
		require.Equal(t, value, got, yaml)
	}
}

// One setting in two spellings would be one of the two by chance.
func TestOneSettingInTwoSpellingsIsAMistake(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{
		"batch: {rows: 1}\nbatch.rows: 2\n", "batch.rows: 2\nbatch: {rows: 1}\n", "batch.rows: 1\nbatch.rows: 1\n",
		"batch:\n  rows: 1\nwindow: 10s\nbatch:\n  rows: 2\n",
	} {
		require.Contains(t, mistakes(t, input(t, yaml, nil), NeedNothing), "already defined at line", yaml)
	}
	c, err := Load(input(t, "batch.rows: 1\nbatch: {in_flight: 2}\n", nil), NeedNothing)
	require.NoError(t, err, "two settings of one section are none")
	require.Equal(t, Batch{Rows: 1, Bytes: 8 << 20, InFlight: 2}, c.Batch)
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plainFile, loop := filepath.Join(dir, "file"), filepath.Join(dir, "loop")
	require.NoError(t, os.WriteFile(plainFile, nil, 0o600))
	require.NoError(t, os.Symlink(loop, loop))
	for file, why := range map[string]string{
		filepath.Join(dir, "missing.yaml"): "no such file or directory",
		dir:                                "is a directory",
		filepath.Join(plainFile, "below"):  "not a directory",
		loop:                               "too many levels of symbolic links",
		"zero\x00byte":                     "invalid argument",
	} {
		for source, in := range map[string]Input{
			"flag --config":           {File: file, Environ: []string{"OUTBOX_RELAY_CONFIG=" + plainFile}},
			"env OUTBOX_RELAY_CONFIG": {Environ: []string{"OUTBOX_RELAY_CONFIG=" + file}},
		} {
			_, err := Load(in, NeedNothing)
			var ms Mistakes
			require.ErrorAs(t, err, &ms)
			require.Len(t, ms, 1)
			require.Equal(t, Mistake{Source: source, Value: fmt.Sprintf("%q", file), Rule: "must name a readable file: " + why}, ms[0])
		}
	}
}

func TestTheFlagNamesTheFile(t *testing.T) {
	t.Parallel()
	in := input(t, "window: 11s", []string{"OUTBOX_RELAY_CONFIG=/nonexistent"})
	c, err := Load(in, NeedNothing)
	require.NoError(t, err, "the file that the variable names is not looked at")
	require.Equal(t, in.File+":1", origin(t, c, "window").Source)
}

// What is written at a key that is no setting may be a secret at a key that was misspelled.
func TestValuesOfUnknownKeysAreNotShown(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{
		"database: {ulr: hunter2}", "databse:\n  url: hunter2", "password: hunter2", "database: {url: {of: hunter2}}", "database: hunter2",
		"tls: {key: hunter2}", "topics: [{name: a, password: hunter2}]", "database: {url: [hunter2]}", "database: {url: 'postgres://u:hunter2@h:x/d'}",
		"retry: [hunter2]",
	} {
		got := mistakes(t, input(t, yaml, nil), NeedNothing)
		require.NotContains(t, got, "hunter2")
		require.Contains(t, got, "relay.yaml:")
	}
}

func TestLineNumbers(t *testing.T) {
	t.Parallel()
	lines := lineNumbers{"batch": 1, "batch.rows": 2, "topics": 4, "topics[1]": 6, "topics[1].type": 7}
	for key, want := range map[string]int{
		"batch": 1, "batch.rows": 2, "batch.bytes": 1, "batch.rows.deep.down": 2, "topics[0]": 4, "topics[1].type": 7, "topics[1].name": 6,
		"topics[11].name": 4, "window": 0, "": 0, ".": 0, "[": 0,
	} {
		require.Equal(t, want, lines.find(key), "%q", key)
	}
}

// Whatever line a setting is moved to by comments and other settings, it is reported there.
func TestAnyLineIsTheRightOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		above := rapid.SliceOfN(rapid.SampledFrom([]string{"", "# comment: x", "   ", "#", "# batch: {rows: 0}"}), 0, 20).Draw(t, "above")
		between := rapid.SliceOfN(rapid.SampledFrom([]string{"", "  # comment", "      "}), 0, 5).Draw(t, "between")
		lines := append(append(append([]string{}, above...), "batch:"), between...)
		lines = append(lines, "  rows: 0")
		file := filepath.Join(dir, "relay.yaml")
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(Input{File: file}, NeedNothing)
		want := fmt.Sprintf("1 mistake in the settings:\n  %s:%d: batch.rows: \"0\": must be 1 to 4096", file, len(lines))
		if err == nil || err.Error() != want {
			t.Fatalf("%v, not %s", err, want)
		}
	})
}

// FuzzLoadFile: no file makes Load panic, and each mistake says where and what.
func FuzzLoadFile(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("batch.rows: 1\nbatch: {rows: 2}"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("topics: [{? [a] : b}, !!binary aGk=, 2024-01-01, ~, .nan]\nwindow: .inf"))
	f.Add([]byte("<<: [{window: 1s}, {window: 2s}]\n"))
	f.Add([]byte("window: 10s\n---\n"))
	f.Add([]byte("\xff\xfe"))
	f.Add([]byte("\"\": 1\n.: 2\n..: 3\n'[': 4"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(t.TempDir(), "relay.yaml")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		c, err := Load(Input{File: file}, NeedNothing)
		if err == nil {
			require.Len(t, c.Origins(), len(Settings()))
			return
		}
		require.Nil(t, c)
		var ms Mistakes
		require.ErrorAs(t, err, &ms)
		for _, m := range ms {
			require.NotEmpty(t, m.Rule)
			require.True(t, strings.HasPrefix(m.Source, file) || m.Source == "default", "%s", m)
		}
	})
}
