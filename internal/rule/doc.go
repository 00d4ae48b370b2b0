// Package rule removes the rules of the protocol from the source, one at a time, and looks whether a test notices. What no test
// notices would one day be removed by mistake.
//
//	make rules
//
// A removal is a replacement of text in one file (mutant.go lists them), handed to the go command as an overlay, so that the
// source itself is never touched. docs/architecture.md lists the rules, docs/model.md says what each is for.
package rule
