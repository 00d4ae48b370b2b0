package stack

// The variables by which with-servers tells the tests where the servers are.
const (
	EnvPostgres   = "OUTBOX_TEST_POSTGRES_URL"
	EnvNameServer = "OUTBOX_TEST_NAMESRV"
	EnvBroker     = "OUTBOX_TEST_BROKER"
)

// EnvEngine chooses the engine for servers that are still to be started.
const EnvEngine = "OUTBOX_STACK"

// Addresses tells where running servers are.
type Addresses struct {
	// Postgres is a superuser's connection string.
	Postgres string
	// NameServer and Broker are host:port.
	NameServer, Broker string
	// Engine is what they run in, so that servers that are started beside them
	// need not look for Docker again. It may be empty.
	Engine Engine
}

// Environ returns the addresses as variables, each "NAME=value".
func (a Addresses) Environ() []string {
	environ := []string{EnvPostgres + "=" + a.Postgres, EnvNameServer + "=" + a.NameServer, EnvBroker + "=" + a.Broker}
	if a.Engine != "" {
		environ = append(environ, EnvEngine+"="+string(a.Engine))
	}
	return environ
}

// AddressesFromEnv reads the variables with getenv; ok is false unless all of
// them are set.
func AddressesFromEnv(getenv func(string) string) (a Addresses, ok bool) {
	a = Addresses{
		Postgres: getenv(EnvPostgres), NameServer: getenv(EnvNameServer), Broker: getenv(EnvBroker),
		Engine: Engine(getenv(EnvEngine)),
	}
	return a, a.Postgres != "" && a.NameServer != "" && a.Broker != ""
}
