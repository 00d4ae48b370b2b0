package model

import (
	"fmt"
	"strings"
)

// An Action is one kind of transition.
type Action uint8

// The transitions, by who makes them.
const (
	began Action = iota
	// Those of broker.go.
	windowOver
	dispatch
	commitLost
	commitBusy
	commitAccepted
	commitRefused
	commitRefusedLost
	commitRefusedAlone
	commitWritten
	commitWrittenLost
	commitWrittenAlone
	acceptedLost
	// Those of checker.go.
	checkCommits
	checkWritten
	// Those of lease.go.
	leaseExpired
	leaseTaken
	sessionOpened
	leaseMissed
	shardTaken
	shardLoaded
	shardLoadedEarly
	// Those of handover.go.
	giveBegun
	giveAsked
	shardGiven
	giveRefused
	// Those of relay.go.
	rowRead
	rowMissed
	rowDropped
	halfSent
	halfStored
	halfUnknown
	halfDied
	halfPutOff
	decideAsked
	commitSent
	commitUnsent
	commitTimedOut
	closeAsked
	// Those of ledger.go.
	leaseLooked
	decided
	decideRefused
	decideRowGone
	settled
	struck
	buried
	putOff
	writeRefused
	lateRun
	lateLost
	// Those of resolve.go.
	committedAgain
	fenced
	proving
	found
	absent
	// Those of crash.go.
	crashed
	answerLost
)

// actionInfo says what an action is in words, with the places of {relay}, {row} and {half}, and whether it is a fault.
type actionInfo struct {
	words string
	fault bool
}

//nolint:gochecknoglobals // A constant, which Go has no arrays of.
var actions = [...]actionInfo{
	began:              {"the beginning", false},
	windowOver:         {"broker: the window of {half} is over", false},
	dispatch:           {"broker: the dispatcher passes the message of {half}; it can be read", false},
	commitLost:         {"network: the commit of {half} is lost", true},
	commitBusy:         {"broker: answers busy (2) to the commit of {half}, {relay} hears it", true},
	commitAccepted:     {"broker: accepts the commit of {half}, still to be written", false},
	commitRefused:      {"broker: refuses the commit of {half} (604), {relay} hears it", false},
	commitRefusedLost:  {"broker: refuses the commit of {half} (604), the answer is lost", true},
	commitRefusedAlone: {"broker: refuses the commit of {half} (604), nobody waits for the answer", false},
	commitWritten:      {"broker: writes the message of {half}, {relay} hears 0", false},
	commitWrittenLost:  {"broker: writes the message of {half}, the answer is lost", true},
	commitWrittenAlone: {"broker: writes the message of {half}, nobody waits for the answer", false},
	acceptedLost:       {"broker: is killed between accepting the commit of {half} and writing it", true},
	checkCommits:       {"checker: answers COMMIT to a check-back of {half}", true},
	checkWritten:       {"broker: writes the message of {half} for the checker", true},
	leaseExpired:       {"postgres: the lease of {relay} is deleted, its process is gone", false},
	leaseTaken:         {"postgres: the lease of {relay} is deleted, though it is alive (frozen)", true},
	sessionOpened:      {"{relay} opens a session", false},
	leaseMissed:        {"{relay} notices that its lease is gone, and ends the session", false},
	shardTaken:         {"{relay} takes the shard", false},
	shardLoaded:        {"{relay} loads what is open and blocked in the shard", false},
	shardLoadedEarly:   {"{relay} loads what is open and blocked, without having the shard", false},
	giveBegun:          {"{relay} is to give the shard, and takes nothing in any more", false},
	giveAsked:          {"{relay} asks to give the shard, and leaves what is in doubt to the next", false},
	shardGiven:         {"postgres: clears the shard's bit in the lease of {relay}", false},
	giveRefused:        {"postgres: the lease of {relay} is gone, nothing is given; it ends the session", false},
	rowRead:            {"{relay} takes {row} in", false},
	rowMissed:          {"{relay} reads, and is not shown {row}", false},
	rowDropped:         {"{relay} drops {row}: an earlier row of the key did not get through", false},
	halfSent:           {"{relay} sends {half}", false},
	halfStored:         {"broker: stores {half}, {relay} hears SEND_OK", false},
	halfUnknown:        {"the answer to {half} does not come; {relay} forgets it, the row is pending", true},
	halfDied:           {"broker: refuses {half} for good, {relay} asks to bury {row}", true},
	halfPutOff:         {"broker: stores {half} not safely, {relay} asks to put {row} off", true},
	decideAsked:        {"{relay} asks to decide {half}", false},
	commitSent:         {"{relay} sends the commit of {half}", false},
	commitUnsent:       {"{relay} gives {half} up before its commit is sent", false},
	commitTimedOut:     {"{relay} has no answer to the commit of {half}: in doubt", false},
	closeAsked:         {"{relay} asks to close the entry of {half}", false},
	leaseLooked:        {"postgres: sees the lease of {relay}, without locking it", false},
	decided:            {"postgres: writes the decision about {half} for {relay}", false},
	decideRefused:      {"postgres: the lease of {relay} is gone, {half} is not decided; it ends the session", false},
	decideRowGone:      {"postgres: {row} is gone, {half} is not decided", false},
	settled:            {"postgres: settles {half} for {relay}", false},
	struck:             {"postgres: strikes {half} for {relay}", false},
	buried:             {"postgres: moves {row} to the dead letters for {relay}", false},
	putOff:             {"postgres: puts {row} off for {relay}", false},
	writeRefused:       {"postgres: the lease of {relay} is gone, nothing is written; it ends the session", false},
	lateRun:            {"postgres: executes late what {relay} had asked about {half}", true},
	lateLost:           {"network: what {relay} had asked about {half} is lost", false},
	committedAgain:     {"{relay} commits {half} again", true},
	fenced:             {"broker: answers 604 to the rollback with which {relay} probes {half}", false},
	proving:            {"{relay} has waited for the margin and the dispatcher, and may prove {half} absent", false},
	found:              {"{relay} reads the queue and finds the message of {half}", false},
	absent:             {"{relay} concludes that {half} is not on the topic", false},
	crashed:            {"{relay} is killed", true},
	answerLost:         {"an answer of postgres to {relay} is lost: it ends the session", true},
}

// A Step is one transition. Late requests are told by what they ask.
type Step struct {
	Action Action
	Relay  uint8
	Row    uint8
	Slot   uint8
	Kind   Kind
}

func (s Step) fault() bool { return actions[s.Action].fault }

// String tells the step in words.
func (s Step) String() string {
	half := fmt.Sprintf("half %d%c", s.Row+1, 'a'+rune(s.Slot))
	text := strings.NewReplacer("{relay}", "relay "+string('A'+rune(s.Relay)), "{row}", fmt.Sprintf("row %d", s.Row+1), "{half}", half).
		Replace(actions[s.Action].words)
	if s.Kind == NoRequest {
		return text
	}
	return text + " (" + s.Kind.String() + ")"
}

// String names what is asked for.
func (k Kind) String() string {
	return [...]string{"", "decide", "settle", "strike", "bury", "put off", "give"}[k]
}

// A Next is a state that can follow, and how.
type Next struct {
	State State
	Step  Step
}

// A generator lists what can follow a state.
type generator struct {
	*Config
	s   State
	out []Next
}

// next returns every state that can follow s. The result is valid until the next call.
func (g *generator) next(s *State) []Next {
	g.s, g.out = *s, g.out[:0]
	g.broker()
	g.checker()
	g.lateRequests()
	for i := range g.Relays {
		g.lease(i)
		g.handOver(i)
		g.crash(i)
		for r := range g.Rows {
			g.postgres(i, r)
			g.answers(i, r)
			if g.s.Relays[i].Phase >= Idle {
				g.way(i, r)
				g.resolve(i, r)
			}
		}
	}
	return g.out
}

// emit adds a state that can follow.
func (g *generator) emit(n *State, a Action, relay, row, slot int) {
	g.emitStep(n, Step{Action: a, Relay: uint8(relay), Row: uint8(row), Slot: uint8(slot)})
}

func (g *generator) emitStep(n *State, step Step) {
	g.tidy(n)
	g.out = append(g.out, Next{State: *n, Step: step})
}
