package postgres

// Statements are the statements that run all the time or over many rows, for tests of their plans.
func (s *Store) Statements() map[string]string {
	statements := map[string]string{
		"read fresh": sqlReadFresh, "read due": sqlReadDue, "settle": sqlSettleAll, "delete all": sqlDeleteAll, "decide": sqlDecide,
		"delete rows": sqlDeleteRows, "put off": sqlPutOff, "bury": sqlBuryRows, "open attempts": sqlOpenAttempts,
		"blocked keys": sqlBlockedKeys, "still there": sqlStillThere, "purge": sqlPurge, "pending": sqlPending,
		"put off rows": sqlPendingPutOff, "in doubt": sqlInDoubt, "open by age": sqlOpenByAge,
		"allocated": sqlAllocated, "writers": sqlWriters, "renew": sqlRenew, "bury expired": sqlBuryExpired, "standing": sqlStanding,
		"lock attempt": sqlLockAttempt, "move entries": sqlMoveEntries, "dead": sqlDead, "note fence": sqlNoteFence,
	}
	for name, text := range statements {
		statements[name] = s.sql(text)
	}
	return statements
}
