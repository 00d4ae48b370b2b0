package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// console writes for people, one line at a time. What a terminal does with it is no reason to stop.
type console struct {
	mu  sync.Mutex
	out io.Writer
}

func (c *console) printf(format string, args ...any) { _, _ = fmt.Fprintf(c, format, args...) }

// Write writes all of b or, if the terminal is gone, nothing.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

// logger returns a logger that writes messages and attributes, without time and level.
func (c *console) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(c, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
