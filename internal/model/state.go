package model

// Bounds of a state. What is smaller in a [Config] stays zero.
const (
	maxRows   = 2 // of one key: their order is part of the promise
	maxRelays = 2
	maxSlots  = 3 // attempts of one row that something still refers to; a slot is used again once nothing does
	maxLate   = 2 // requests that outlive their session; one more is as if it were never executed
)

// A State is all that matters: the tables, the broker, the memory of the relays, and what is on its way between them.
type State struct {
	Rows     [maxRows]Row
	Attempts [maxRows][maxSlots]Attempt
	Leases   [maxRelays]Lease
	Relays   [maxRelays]Relay
	Late     [maxLate]Request
	Broken   bool // a confirmed message was settled whose entry had been struck
}

// Table says where a row is in PostgreSQL.
type Table uint8

// A row is pending until it is deleted as sent or buried. One that was put off is pending, but fresh reads do not show it.
const (
	Pending Table = iota
	PutOff
	Gone
	Dead
)

// A Row is a row of the outbox, and what consumers see of it.
type Row struct {
	Table  Table
	Copies uint8 // on the topic
}

func (r Row) exists() bool { return r.Table == Pending || r.Table == PutOff }

// Copy says how far a committed message has got in the broker.
type Copy uint8

// A message is appended to the log first; once the dispatcher has passed it, it can be read from its queue.
const (
	NoCopy Copy = iota
	Appended
	Readable
)

// Entry is an entry of the ledger.
type Entry uint8

// An entry is open from the decision on, and changes once.
const (
	NoEntry Entry = iota
	Open
	Settled
	Struck
)

// An Attempt is one half message of one row, and its entry in the ledger. The zero attempt to which nothing refers is a free
// slot.
type Attempt struct {
	Expired  bool  // the window is over, by the broker's clock
	Commits  uint8 // on the wire
	Accepted bool  // a commit has passed the broker's look at the window, and is not written yet
	Check    bool  // the answer COMMIT to a check-back is on the wire
	Copy     Copy
	Entry    Entry
	By       uint8 // who decided it: 1 + relay if that relay's present session, 0 if one that is over
}

// A Lease is a row of the lease table. It belongs to the relay's last session that was opened.
type Lease struct {
	Stands bool
	Shard  bool // it holds the one shard of all rows here
}

// Phase is what the session of a relay is doing about the shard.
type Phase uint8

// A process is off, or between two sessions, or has a session.
const (
	Off       Phase = iota
	Ended           // the session is over; answers to commits are still waited for
	Opened          // the lease is there; what the last session knew is being said
	Idle            // owns nothing
	Early           // loaded before the shard was taken, which must not be
	Taking          // the shard is taken in PostgreSQL, nothing is loaded yet
	Working         // loaded: reads rows
	Giving          // takes nothing in any more, finishes what is under way
	GiveAsked       // has asked PostgreSQL to clear the shard's bit
)

func (p Phase) live() bool { return p >= Opened }

// Stage is how far a row is in a relay's memory.
type Stage uint8

// The way of a row, in order; then the ways into and out of doubt.
const (
	None        Stage = iota // not under way
	Read                     // taken in
	HalfSent                 // the half message is on the wire
	HalfStored               // SEND_OK
	DecideAsked              // the decision is at PostgreSQL
	Checked                  // PostgreSQL has looked at the lease without locking it, which must not be
	Decided                  // in the ledger; not committed
	Committing               // the commit is on the wire
	Confirmed                // answered 0
	Refused                  // certainly not applied
	InDoubt                  // no answer
	Fenced                   // the broker has answered 604 to a rollback
	Proving                  // waited for append_margin and for the dispatcher
	Found                    // read: it is there
	Absent                   // read: it is not there
	SettleAsked
	StrikeAsked
	BuryAsked
	PutOffAsked
	KnownGone // a read did not show it
)

// A Relay is the memory of one relay.
type Relay struct {
	Phase Phase
	Rows  [maxRows]Progress
}

// Progress is what a relay knows of a row.
type Progress struct {
	Stage Stage
	Slot  uint8 // of the attempt, where the stage has one
	Saw   bool  // a read of this session has shown the row: it may be taken in from that read, however old
	Holds bool  // the row was put off or is dead, and its key must wait
	Cut   bool  // an earlier row of the key did not get through: it gives up
}

// attempt reports whether the stage refers to an attempt.
func (s Stage) attempt() bool { return s >= HalfSent && s <= StrikeAsked }

// doubt reports whether the resolver has the row.
func (s Stage) doubt() bool { return s >= InDoubt && s <= Absent }

// Kind is what a request to PostgreSQL asks for.
type Kind uint8

// The requests whose late execution could do harm.
const (
	NoRequest Kind = iota
	LateDecide
	LateSettle
	LateStrike
	LateBury
	LatePutOff
	LateGive
)

// A Request is on its way to PostgreSQL while nobody waits for the answer any more.
type Request struct {
	Kind  Kind
	Relay uint8
	Row   uint8
	Slot  uint8
}

// ahead reports whether a row that has got this far lets the next one of its key follow.
func (s Stage) ahead() bool {
	return s >= Read && s <= Confirmed || s == SettleAsked || s == KnownGone
}

// asks returns the request that a stage waits for.
func (s Stage) asks() Kind {
	switch s {
	case DecideAsked, Checked:
		return LateDecide
	case SettleAsked:
		return LateSettle
	case StrikeAsked:
		return LateStrike
	case BuryAsked:
		return LateBury
	case PutOffAsked:
		return LatePutOff
	default:
		return NoRequest
	}
}

// refersTo reports whether a relay or a late request still needs an attempt.
func (s *State) refersTo(row, slot int) bool {
	for i := range s.Relays {
		if p := s.Relays[i].Rows[row]; p.Stage.attempt() && int(p.Slot) == slot {
			return true
		}
	}
	for _, q := range s.Late {
		if (q.Kind == LateDecide || q.Kind == LateSettle || q.Kind == LateStrike) && int(q.Row) == row && int(q.Slot) == slot {
			return true
		}
	}
	return false
}

// late adds a request that nobody waits for. Where there is no room it counts as lost.
func (s *State) late(q Request) {
	for i, old := range s.Late {
		if old == q {
			return
		}
		if old.Kind == NoRequest {
			s.Late[i] = q
			return
		}
	}
}

// set gives a row of a relay a stage, and leaves the rest.
func (s *State) set(relay, row int, stage Stage) { s.Relays[relay].Rows[row].Stage = stage }
