package bench

func steadyCases() []Case { return nil }

func otherCases() []Case { return nil }
