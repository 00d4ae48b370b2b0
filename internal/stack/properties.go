package stack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// propertyLines formats a Java properties file; backslashes escape there.
func propertyLines(properties map[string]string) string {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&lines, "%s=%s\n", name, strings.ReplaceAll(properties[name], `\`, `\\`))
	}
	return lines.String()
}
