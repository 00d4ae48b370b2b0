package telemetry

import (
	"net/http"
	"net/http/pprof"
)

// WithProfiles serves Go's profiles below /debug/pprof/ and leaves everything else to handler. A profile over a time must be
// asked for with less than 30 seconds, which is what the server gives an answer.
func WithProfiles(handler http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	return mux
}
