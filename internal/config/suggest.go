package config

import "slices"

// Closest returns the candidate that name was probably meant to be, or "" if none is near.
func Closest(name string, candidates []string) string { return closest(name, candidates) }

// closest returns the candidate that name was probably meant to be, or "" if none is near.
func closest(name string, candidates []string) string {
	best, distance := "", 1+max(2, len(name)/4)
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if d := edits(name, c); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
