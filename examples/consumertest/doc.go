// Package consumertest runs the example consumers, in Go and in Java, against real servers: with messages that come twice, killed
// between effect and acknowledgement, and in order.
package consumertest
