package telemetry

import (
	"encoding/json"
	"net/http"
	"time"
)

// Liveness tells how long the relay's loop has been doing nothing. Progress implements it.
type Liveness interface {
	Idle() time.Duration
}

// Readiness tells what must hold before the relay does its work. Conditions implements it.
type Readiness interface {
	Conditions() []Condition
}

// maxIdle is when a loop that does nothing counts as stuck. Its longest honest pause is a few seconds: every call of it has
// a timeout.
const maxIdle = 60 * time.Second

// Handler serves /metrics, /healthz and /readyz.
//
// /healthz answers 503 if the loop is stuck and a restart may help; an outage of the broker or the database is not its
// failure. /readyz answers 503 while any condition does not hold, and lists them all either way.
func Handler(metrics http.Handler, alive Liveness, r Readiness) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		idle := alive.Idle()
		answer(w, idle <= maxIdle, struct {
			Alive bool    `json:"alive"`
			Idle  float64 `json:"idle_seconds"`
		}{idle <= maxIdle, idle.Seconds()})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		conditions := r.Conditions()
		answer(w, ready(conditions), struct {
			Ready      bool        `json:"ready"`
			Conditions []Condition `json:"conditions"`
		}{ready(conditions), conditions})
	})
	return mux
}

func answer(w http.ResponseWriter, ok bool, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body) // The client went away.
}
