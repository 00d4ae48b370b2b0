package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	endpoint4 = "http://MQ_INST_1234567890123456_BXabcdef.cn-hangzhou.mq.aliyuncs.com:80"
	endpoint5 = "rmq-cn-7pp2abcdefg.cn-hangzhou.rmq.aliyuncs.com:8080"
)

func TestNamespaceComesFromTheEndpoint(t *testing.T) {
	t.Parallel()
	const instance = "MQ_INST_1234567890123456_BXabcdef"
	for name, test := range map[string]struct {
		args              []string
		namespace, source string
	}{
		"ApsaraMQ 4.x":             {[]string{"--nameservers=" + endpoint4}, instance, "nameservers"},
		"the same, said as well":   {[]string{"--nameservers=" + endpoint4, "--namespace=" + instance}, instance, "flag --namespace"},
		"without http and port":    {[]string{"--nameservers=MQ_INST_1_B.cn-hangzhou.mq.aliyuncs.com"}, "MQ_INST_1_B", "nameservers"},
		"two addresses of one":     {[]string{"--nameservers=MQ_INST_1_B.a.aliyuncs.com:80;MQ_INST_1_B.b.aliyuncs.com:80"}, "MQ_INST_1_B", "nameservers"},
		"ApsaraMQ 5.x":             {[]string{"--nameservers=" + endpoint5}, "", "not set"},
		"Apache RocketMQ":          {[]string{"--nameservers=ns:9876"}, "", "not set"},
		"Apache RocketMQ with one": {[]string{"--nameservers=ns:9876", "--namespace=nsA"}, "nsA", "flag --namespace"},
		"nameservers not needed":   {nil, "", "not set"},
	} {
		c, err := Load(input(t, "", nil, test.args...), NeedNothing)
		require.NoError(t, err, name)
		require.Equal(t, test.namespace, c.Namespace, name)
		require.Equal(t, Origin{Key: "namespace", Value: test.namespace, Source: test.source}, origin(t, c, "namespace"), name)
	}
}

func TestNamespaceThatCannotBe(t *testing.T) {
	t.Parallel()
	long := "--topics=" + "t23456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-123456789-1"
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"another instance":  {[]string{"--nameservers=" + endpoint4, "--namespace=MQ_INST_2_C"}, "namespace (MQ_INST_2_C, flag --namespace) must be the instance that nameservers ("},
		"two instances":     {[]string{"--nameservers=MQ_INST_1_B.a.aliyuncs.com:80;MQ_INST_2_C.a.aliyuncs.com:80"}, "must be of one ApsaraMQ instance"},
		"ApsaraMQ 5.x":      {[]string{"--nameservers=" + endpoint5, "--namespace=MQ_INST_1_B"}, "must be left out with an ApsaraMQ 5.x endpoint"},
		"the prefix":        {[]string{"--namespace=nsA%"}, "without the % that follows it"},
		"too long together": {[]string{"--namespace=nsA-nsA", long}, "must be at most 127 bytes each with the prefix of namespace (nsA-nsA"},
	} {
		require.Contains(t, mistakes(t, input(t, "", nil, test.args...), NeedNothing), test.want, name)
	}
}

func TestWarningsAboutNamesAndTraces(t *testing.T) {
	t.Parallel()
	c, err := Load(input(t, "", nil, "--namespace=nsA", "--topics=a,nsA%b", "--access-channel=cloud", "--trace-topic=mine"), NeedNothing)
	require.NoError(t, err)
	require.Contains(t, c.Warnings(), "topic nsA%b is written with its namespace: only rows that write it so are for it")
	require.Contains(t, c.Warnings(), "trace.topic (mine) has no effect with access_channel cloud: the topic is that of the broker's region")
}
