package txcheck

// An Answer is what a broker is told about a half message.
type Answer int

// The answers. The zero Answer is Unknown, the one that changes nothing.
const (
	Unknown  Answer = iota // ask again later
	Rollback               // it will never be committed: stop asking
	Commit                 // put it on its topic; Checker never answers this
)

// String returns the answer in lower case, as it appears in logs and as a metric label.
func (a Answer) String() string {
	switch a {
	case Rollback:
		return "rollback"
	case Commit:
		return "commit"
	default:
		return "unknown"
	}
}

// Answers lists every answer, for metrics that create their labels in advance.
func Answers() []Answer { return []Answer{Unknown, Rollback, Commit} }
