package relay

// DeadReasons lists the reasons that rows are dead for.
func DeadReasons() []Reason {
	return []Reason{
		ReasonBodyEmpty, ReasonBodyTooLarge, ReasonBadProperties, ReasonBadHeaders, ReasonNotAllowed, ReasonMessageIllegal,
	}
}
