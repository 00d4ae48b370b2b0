// Package app puts the parts of the relay together, starts them in order and stops them in the reverse one.
//
// What is away is waited for, what is wrong is not: a database or broker that cannot be reached leaves the process alive and
// not ready, while a schema that is missing, or a topic that does not exist, ends Run with an error that says what to do.
package app
