package bench

// A Measure is one thing that is measured.
type Measure string

// What is measured. Processor time is for 100,000 messages.
const (
	Rate        Measure = "msg/s"
	RelayCPU    Measure = "relay CPU s/100k"
	PostgresCPU Measure = "postgres CPU s/100k"
	BrokerCPU   Measure = "broker CPU s/100k"
	PumpCPU     Measure = "pump CPU s/100k"
	AllCPU      Measure = "all CPU s/100k"
	Memory      Measure = "relay peak MB"
	WAL         Measure = "WAL B/row"
	WALImages   Measure = "page images B/row"
	TableSize   Measure = "outbox MB after"
	LedgerSize  Measure = "ledger MB after"
	EndToStart  Measure = "speed end:start"
	Tail        Measure = "settled after ms" // from the last message on its topic to the last row deleted
	Refused     Measure = "refused as busy"
	Reordered   Measure = "out of order"
	Duplicates  Measure = "duplicates"

	Offered    Measure = "rows/s"
	Slope      Measure = "backlog slope rows/s"
	StoreP50   Measure = "to store p50 ms"
	StoreP95   Measure = "to store p95 ms"
	StoreP99   Measure = "to store p99 ms"
	StoreMax   Measure = "to store max ms"
	ConsumeP50 Measure = "to consumer p50 ms"
	ConsumeP95 Measure = "to consumer p95 ms"
	ConsumeP99 Measure = "to consumer p99 ms"
	ConsumeMax Measure = "to consumer max ms"
	RelayLoad  Measure = "relay % of a core"
	PostgLoad  Measure = "postgres % of a core"

	BareRate       Measure = "bare insert tx/s"
	OutboxRate     Measure = "outbox insert tx/s"
	RelayedRate    Measure = "with relay tx/s"
	OutboxPays     Measure = "outbox pays %"
	RelayedPays    Measure = "with relay pays %"
	BareTxCPU      Measure = "bare postgres µs/tx"
	OutboxTxCPU    Measure = "outbox postgres µs/tx"
	FirstMessage   Measure = "to first message ms"
	FullSpeed      Measure = "to full speed ms"
	ResidentMemory Measure = "relay resident MB"
)

// Measures lists them in the order of the table.
func Measures() []Measure {
	return []Measure{
		Rate, RelayCPU, PostgresCPU, BrokerCPU, PumpCPU, AllCPU, Memory, WAL, WALImages, TableSize, LedgerSize, EndToStart, Tail,
		Refused, Reordered, Duplicates,
		Offered, Slope, StoreP50, StoreP95, StoreP99, StoreMax, ConsumeP50, ConsumeP95, ConsumeP99, ConsumeMax, RelayLoad, PostgLoad,
		BareRate, OutboxRate, RelayedRate, OutboxPays, RelayedPays, BareTxCPU, OutboxTxCPU, FirstMessage, FullSpeed, ResidentMemory,
	}
}

// Values are what one run of a case measured.
type Values map[Measure]float64

// per100k is processor time in seconds for n messages as that for 100,000.
func per100k(seconds float64, n int) float64 { return seconds * 100_000 / float64(n) }
