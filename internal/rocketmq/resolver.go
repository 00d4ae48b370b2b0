package rocketmq

import (
	"context"
	"net"
	"time"
)

// resolver gives the official client its name servers, each time it asks: at its start and every two minutes. It refuses host
// names unless they look like a URL, and takes that off before it dials. Where a name has several addresses, it dials the
// first one only until its time is up, so each is given to it as well.
type resolver struct {
	nameServers []string
	lookup      func(ctx context.Context, host string) ([]string, error)
}

// Resolve implements primitive.NsResolver.
func (r *resolver) Resolve() []string {
	var urls []string
	for _, address := range r.nameServers {
		urls = append(urls, "http://"+address)
		for _, a := range r.addresses(address) {
			urls = append(urls, "http://"+a)
		}
	}
	return urls
}

// addresses returns what a host name stands for, if that is more than one address.
func (r *resolver) addresses(address string) []string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || net.ParseIP(host) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	found, err := r.lookup(ctx, host)
	if err != nil || len(found) < 2 {
		return nil
	}
	addresses := make([]string, len(found))
	for i, a := range found {
		addresses[i] = net.JoinHostPort(a, port)
	}
	return addresses
}

// Description implements primitive.NsResolver.
func (r *resolver) Description() string { return "name servers of the settings" }
