package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// plain is a topic of which only the name was given.
func plain(name string) Topic {
	return Topic{Name: name, Type: "transaction", OnDead: "block", Delivery: "exactly_once"}
}

func TestTopicForms(t *testing.T) {
	t.Parallel()
	skip := plain("orders")
	skip.OnDead = "skip"
	for name, test := range map[string]struct {
		raw  any
		want []Topic
	}{
		"one name":                 {"orders", []Topic{plain("orders")}},
		"names":                    {"orders, mails;bills", []Topic{plain("orders"), plain("mails"), plain("bills")}},
		"a YAML list":              {[]any{"orders", " mails "}, []Topic{plain("orders"), plain("mails")}},
		"a number is a name":       {[]any{42}, []Topic{plain("42")}},
		"a word":                   {"orders:skip", []Topic{skip}},
		"every word":               {"orders:transaction:skip:exactly_once", []Topic{skip}},
		"words in any order":       {"orders:exactly_once:skip:transaction", []Topic{skip}},
		"the last of a kind holds": {"orders:block:skip", []Topic{skip}},
		"an object":                {[]any{map[string]any{"name": "orders"}}, []Topic{plain("orders")}},
		"a full object": {
			[]any{map[string]any{"name": "orders", "type": "transaction", "on_dead": "skip", "delivery": "exactly_once"}}, []Topic{skip},
		},
		"both forms": {[]any{"mails", map[string]any{"name": "orders", "on_dead": "skip"}}, []Topic{plain("mails"), skip}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, faults := topics().parse(test.raw)
			require.Empty(t, faults)
			require.Equal(t, test.want, got)
		})
	}
}

func TestEveryFaultOfATopic(t *testing.T) {
	t.Parallel()
	const types, words = "must be transaction, normal, fifo or delay", " is none of transaction, normal, fifo, delay, sync, async, oneway, block, skip, exactly_once, at_least_once"
	object := func(key string, value any) any { return []any{map[string]any{"name": "orders", key: value}} }
	for name, test := range map[string]struct {
		raw   any
		path  string
		value string
		rule  string
	}{
		"exact, but not transactional": {"orders:normal:exactly_once", "[0].delivery", "exactly_once", "needs type transaction: the broker does not refuse a plain message that comes twice"},
		"a mode without type normal":   {object("mode", "async"), "[0].mode", "async", "is for type normal only: a transactional message is always confirmed"},
		"a mode of fifo":               {"orders:fifo:oneway", "[0].mode", "oneway", "is for type normal only: messages of type fifo are always confirmed"},
		"no mode":                      {object("mode", "fast"), "[0].mode", "fast", "must be sync, async or oneway"},
		"no type":                      {object("type", "Transaction"), "[0].type", "Transaction", types},
		"empty type":                   {object("type", ""), "[0].type", "", types},
		"no delivery":                  {object("delivery", "at_most_once"), "[0].delivery", "at_most_once", "must be exactly_once or at_least_once"},
		"no policy":                    {object("on_dead", "drop"), "[0].on_dead", "drop", "must be block or skip"},
		"a list for a value":           {object("on_dead", []any{"skip"}), "[0].on_dead", "", "must be text"},
		"null for a value":             {object("on_dead", nil), "[0].on_dead", "", "must be text"},
		"misspelled field":             {object("ondead", "skip"), "[0].ondead", "", "is unknown; did you mean on_dead?"},
		"unknown field":                {object("partitions", 8), "[0].partitions", "", "is unknown: a topic has name, type, mode, on_dead and delivery"},
		"unknown word":                 {"orders:drop", "[0]", "orders:drop", `"drop"` + words},
		"upper case":                   {"orders:SKIP", "[0]", "orders:SKIP", `"SKIP"` + words},
		"empty word":                   {"orders:", "[0]", "orders:", `""` + words},
		"no name":                      {":skip", "[0].name", "", "must not be empty"},
		"no name in an object":         {[]any{map[string]any{"on_dead": "skip"}}, "[0].name", "", "must not be empty"},
		"second of the same":           {"orders,mails,orders:skip", "[2]", "orders", "must be named once"},
		"a list in the list":           {[]any{"a", []any{"b"}}, "[1]", "", "must be a name or an object {name, type, mode, on_dead, delivery}"},
		"nothing in the list":          {[]any{"a", nil}, "[1]", "", "must be a name or an object {name, type, mode, on_dead, delivery}"},
		"a number of broken kind":      {[]any{map[any]any{1: "a"}}, "[0]", "", "must be a name or an object {name, type, mode, on_dead, delivery}"},
		"an object for the list":       {map[string]any{"orders": "skip"}, "", "", "must be a list, or text separated by ; or ,"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := topics().parse(test.raw)
			require.Equal(t, []fault{{path: test.path, value: test.value, rule: test.rule}}, faults)
		})
	}
}

// A topic with several faults is told all of them, in the order of its fields.
func TestAllFaultsOfATopicAtOnce(t *testing.T) {
	t.Parallel()
	_, faults := topics().parse([]any{map[string]any{"name": "a b", "type": "queue", "mode": "z", "on_dead": "x", "delivery": "y", "zone": 1}})
	var paths []string
	for _, f := range faults {
		paths = append(paths, f.path)
	}
	require.Equal(t, []string{"[0].zone", "[0].name", "[0].type", "[0].mode", "[0].on_dead", "[0].delivery"}, paths)
}

// Two topics without a name are two mistakes about names, not also one about a repeated name.
func TestMissingNamesAreNotRepetitions(t *testing.T) {
	t.Parallel()
	_, faults := topics().parse([]any{map[string]any{}, map[string]any{}})
	require.Equal(t, []fault{{path: "[0].name", rule: "must not be empty"}, {path: "[1].name", rule: "must not be empty"}}, faults)
}

func TestTopicNameRule(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "orders", "A_b-c|d%e", strings.Repeat("x", 127), "rmq_system", "0"} {
		require.Empty(t, topicNameRule(good), good)
	}
	for name, want := range map[string]string{
		"":                       "must not be empty",
		strings.Repeat("x", 128): "must be at most 127 bytes long",
		"TBW102":                 "is reserved by RocketMQ",
	} {
		require.Contains(t, topicNameRule(name), want, name)
	}
	for _, bad := range []string{"a b", "a.b", "a/b", "ä", "a\x00", "a\n", "%RETRY%g", "%DLQ%g", "rmq_sys_x", "SCHEDULE_TOPIC_XXXX"} {
		require.NotEmpty(t, topicNameRule(bad), "%q", bad)
	}
}

// topicName draws names that RocketMQ and the library take.
func topicName() *rapid.Generator[string] {
	return rapid.StringMatching(`[a-z][a-zA-Z0-9_-]{0,30}`).Filter(func(s string) bool { return topicNameRule(s) == "" })
}

func TestAnyTopicsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(topicName(), 1, 6, rapid.ID[string]).Draw(t, "names")
		list := make([]Topic, len(names))
		for i, name := range names {
			list[i] = plain(name)
			list[i].OnDead = rapid.SampledFrom([]string{"block", "skip"}).Draw(t, "on_dead")
		}
		got, faults := topics().parse(topics().show(list))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		for i := range list {
			if got[i] != list[i] {
				t.Fatalf("%v became %v", list[i], got[i])
			}
		}
	})
}

// The words of the short form say themselves what they set, so their order is of no consequence.
func TestOrderOfWordsIsOfNoConsequence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.Permutation([]string{"transaction", "skip", "exactly_once"}).Draw(t, "words")
		words = words[:rapid.IntRange(0, 3).Draw(t, "count")]
		got, faults := parseTopic(strings.Join(append([]string{"orders"}, words...), ":"))
		want := plain("orders")
		if strings.Contains(strings.Join(words, ":"), "skip") {
			want.OnDead = "skip"
		}
		if len(faults) > 0 || got != want {
			t.Fatalf("%v: %v, %v", words, got, faults)
		}
	})
}

func FuzzTopics(f *testing.F) {
	f.Add("orders,mails:skip")
	f.Add("a:transaction:block:exactly_once;b")
	f.Add(":,;:x:,a,a")
	f.Add("%RETRY%x:skip")
	f.Fuzz(func(t *testing.T, text string) {
		list, faults := topics().parse(text)
		for _, f := range faults {
			require.NotEmpty(t, f.rule)
			require.Regexp(t, `^\[\d+\](\.\w+)?$`, f.path)
		}
		if len(faults) > 0 {
			return
		}
		seen := map[string]bool{}
		for _, topic := range list {
			require.Empty(t, topicNameRule(topic.Name))
			require.False(t, seen[topic.Name])
			seen[topic.Name] = true
			require.Equal(t, Topic{Name: topic.Name, Type: "transaction", OnDead: topic.OnDead, Delivery: "exactly_once"}, topic)
			require.Contains(t, []string{"block", "skip"}, topic.OnDead)
		}
		again, faults := topics().parse(topics().show(list))
		require.Empty(t, faults)
		require.Equal(t, list, again)
	})
}
