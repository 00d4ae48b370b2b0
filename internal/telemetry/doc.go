// Package telemetry is what the relay shows of itself: log lines, metrics for Prometheus and by OTLP, traces by OTLP, and
// the answers to /metrics, /healthz and /readyz.
//
// It knows nothing of rows and brokers: the parts of the relay are given a logger, a meter and a tracer, and tell a Progress
// and Conditions what became of them.
package telemetry
