// Package matrix runs the tests on every version of RocketMQ that the relay supports, and prints what came of it as a table:
// "make test-matrix". What is run on which version is in plan.go and nowhere else.
package matrix
