// Package flowtest runs the relay against a real PostgreSQL and a real RocketMQ, stops it at the worst moments, and audits
// the topic. It has no code of its own, only tests; they stand apart from package relay because they need the packages that
// import it.
package flowtest
