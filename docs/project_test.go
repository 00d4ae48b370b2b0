package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestChangelogIsKept checks the form of https://keepachangelog.com/en/1.1.0/: the newest version first, and under each
// only the six headings.
func TestChangelogIsKept(t *testing.T) {
	t.Parallel()
	text := read(t, "CHANGELOG.md")
	require.True(t, strings.HasPrefix(text, "# Changelog\n"))
	headings := regexp.MustCompile(`(?m)^(#{2,}) (.+)$`).FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, headings)
	require.Regexp(t, `^(\[Unreleased\]|Unreleased)$`, headings[0][2], "what comes next is first")
	version := regexp.MustCompile(`^\[?\d+\.\d+\.\d+\S* - \d{4}-\d{2}-\d{2}$`)
	for i, heading := range headings {
		switch heading[1] {
		case "##":
			require.True(t, i == 0 || version.MatchString(heading[2]), heading[2])
		default:
			require.Equal(t, "###", heading[1])
			require.Contains(t, []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}, heading[2])
		}
	}
	for _, kind := range regexp.MustCompile(`(?m)^### .+\n`).Split(text, -1)[1:] {
		require.Regexp(t, `^\n- `, kind, "no heading without entries")
	}
}

func TestLicenseIsApache2(t *testing.T) {
	t.Parallel()
	words := strings.Join(strings.Fields(read(t, "LICENSE")), " ")
	require.True(t, strings.HasPrefix(words, "Apache License Version 2.0, January 2004 http://www.apache.org/licenses/ TERMS AND CONDITIONS"))
	require.Contains(t, words, "END OF TERMS AND CONDITIONS")
	for _, heading := range []string{"1. Definitions.", "2. Grant of Copyright License.", "3. Grant of Patent License.", "4. Redistribution.", "9. Accepting Warranty"} {
		require.Contains(t, words, heading)
	}
	require.Contains(t, read(t, "README.md"), "Apache License 2.0")
}

func TestReadmeAsksForTheRightGo(t *testing.T) {
	t.Parallel()
	asked := regexp.MustCompile(`Go (\d+\.\d+)`).FindStringSubmatch(read(t, "README.md"))
	require.Len(t, asked, 2)
	require.Regexp(t, `(?m)^go `+regexp.QuoteMeta(asked[1])+`(\.\d+)?$`, read(t, "go.mod"))
}

// untested are the packages without tests of their own, with the reason.
func untested() map[string]string {
	return map[string]string{
		"internal/rocketmq/fakemq": "a broker with a script, for the tests of internal/rocketmq, which fail if it does not keep to the script",
	}
}

func TestEveryPackageHasACommentAndTests(t *testing.T) {
	t.Parallel()
	type pkg struct{ declares, comment, tests bool }
	packages := map[string]*pkg{}
	walk(t, ".go", func(path string) {
		p := packages[filepath.Dir(path)]
		if p == nil {
			p = &pkg{}
			packages[filepath.Dir(path)] = p
		}
		if strings.HasSuffix(path, "_test.go") {
			p.tests = p.tests || strings.Contains(read(t, path), "\nfunc Test")
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, read(t, path), parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		p.comment = p.comment || file.Doc != nil && commentsPackage(file)
		for _, declaration := range file.Decls {
			general, ok := declaration.(*ast.GenDecl)
			p.declares = p.declares || !ok || general.Tok != token.IMPORT
		}
	})
	require.Greater(t, len(packages), 10)
	for path, p := range packages {
		if !p.declares { // A package of imports has nothing to explain or to test.
			continue
		}
		require.True(t, p.comment, "%s has a package comment", path)
		_, known := untested()[path]
		require.NotEqual(t, p.tests, known, "%s has tests, or is in the list of those without", path)
	}
	for path := range untested() {
		require.Contains(t, packages, path)
	}
}

// commentsPackage reports whether the comment has the form that godoc expects: "Package name", and for a program its name.
func commentsPackage(file *ast.File) bool {
	text := file.Doc.Text()
	return strings.HasPrefix(text, "Package "+file.Name.Name+" ") || file.Name.Name == "main" && len(strings.Fields(text)) > 3
}
