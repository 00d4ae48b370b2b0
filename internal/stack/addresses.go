package stack

// The variables by which with-servers tells the tests where the servers are.
const (
	EnvPostgres   = "OUTBOX_TEST_POSTGRES_URL"
	EnvNameServer = "OUTBOX_TEST_NAMESRV"
	EnvBroker     = "OUTBOX_TEST_BROKER"
)

// Addresses tells where running servers are.
type Addresses struct {
	// Postgres is a superuser's connection string.
	Postgres string
	// NameServer and Broker are host:port.
	NameServer, Broker string
}

// Environ returns the addresses as variables, each "NAME=value".
func (a Addresses) Environ() []string {
	return []string{EnvPostgres + "=" + a.Postgres, EnvNameServer + "=" + a.NameServer, EnvBroker + "=" + a.Broker}
}

// AddressesFromEnv reads the variables with getenv; ok is false unless all of
// them are set.
func AddressesFromEnv(getenv func(string) string) (a Addresses, ok bool) {
	a = Addresses{Postgres: getenv(EnvPostgres), NameServer: getenv(EnvNameServer), Broker: getenv(EnvBroker)}
	return a, a.Postgres != "" && a.NameServer != "" && a.Broker != ""
}
