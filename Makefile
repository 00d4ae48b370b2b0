# Everything a contributor runs. `make help` lists the targets.

GO         ?= go
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS    := -s -w -X main.version=$(VERSION)
# Extra flags for go test, for example TESTFLAGS='-run TestRow -v'.
TESTFLAGS  ?=
# Packages to test.
PACKAGES   ?= ./...

GOLANGCI_LINT_VERSION := 2.15.0
GOVULNCHECK_VERSION   := 1.1.4

GOLANGCI_LINT := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# CONSUMER=go and CONSUMER=java let the consumers of examples/ receive, instead of the demo itself.
CONSUMER   ?= demo

.PHONY: demo
demo: ## Start everything, send orders, kill the relay, and count what arrived (about a minute; CONSUMER).
	@$(GO) run ./examples/orders/cmd/demo -consumer=$(CONSUMER)

# One set of servers for all packages. -race needs a C compiler.
.PHONY: test
test: bin/with-servers ## Run every test on a real PostgreSQL and a real RocketMQ, with the race detector.
	@bin/with-servers -- $(GO) test -race -count=1 -timeout=25m $(TESTFLAGS) $(PACKAGES)

# VERSIONS chooses some ("4.9.7,5.5.0"). A run that was stopped goes on where it was, as long as the source is the same.
VERSIONS   ?=

.PHONY: test-matrix
test-matrix: ## Run the tests on every supported RocketMQ and print a table (an hour; VERSIONS).
	@mkdir -p bin
	@$(GO) run ./internal/matrix/cmd/matrix -versions='$(VERSIONS)' -state=bin/matrix.json

# Each removal compiles and runs the tests that must notice: a few minutes in all.
.PHONY: rules
rules: bin/with-servers ## Remove the protocol's rules from the source, one at a time: some test must notice each.
	@bin/with-servers -- $(GO) run ./internal/rule/cmd/rules

# Inputs that fail are kept below testdata/fuzz, and are tests from then on.
FUZZTIME ?= 20s

.PHONY: fuzz
fuzz: ## Run every fuzz test for FUZZTIME (20s), one after the other.
	@for package in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$package/*_test.go | cut -d' ' -f2); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

# ROWS is how many rows are drained under each strain: docs/postgres.md.
ROWS ?= 1000000

.PHONY: strain
strain: bin/with-servers ## Drain a million rows while PostgreSQL is held up, and measure (an hour at most; ROWS).
	@OUTBOX_STRAIN_ROWS=$(ROWS) bin/with-servers -- \
		$(GO) test -count=1 -run TestStrain -v -parallel 1 -timeout 60m ./internal/postgres

.PHONY: model
model: ## Explore the protocol's states, and each rule removed (minutes). RULE=name tells one counter-example.
	@$(GO) run ./internal/model/cmd/model

# SEED repeats a run, DURATION is that of its faults, KINDS chooses faults by words in their names: docs/chaos.md.
SEED       ?= 0
DURATION   ?= 10m
KINDS      ?=

.PHONY: chaos
chaos: bin/chaos ## Break everything at random for ten minutes, and count what arrives (SEED, DURATION, KINDS).
	@bin/chaos -seed=$(SEED) -duration=$(DURATION) -kinds='$(KINDS)' -json=bin/chaos.json

.PHONY: chaos-long
chaos-long: bin/chaos ## The same for hours, until each fault came often enough; goes on where it was stopped.
	@bin/chaos -seed=$(SEED) -duration=$(DURATION) -kinds='$(KINDS)' -json=bin/chaos-long.json -long -state=bin/chaos-long.state

# CASES chooses by words in the names of the cases (bin/bench -list shows them), REPEAT is how many rounds there are, ROWS is the
# backlog of a full drain, PROFILE=1 writes profiles of the relay into bin/, BENCHFLAGS adds others: docs/performance.md.
CASES      ?=
REPEAT     ?= 3
BENCHFLAGS ?=
BENCH       = bin/bench -cases='$(CASES)' -repeat=$(REPEAT) -json=bin/bench.json -plot=bin/bench.svg $(if $(PROFILE),-profile -dir=bin) $(BENCHFLAGS)

.PHONY: bench
bench: bin/bench ## Measure the relay beside what the broker can take, twenty minutes at most (CASES, REPEAT, ROWS, PROFILE).
	@$(BENCH) -rows=$(if $(filter file,$(origin ROWS)),200000,$(ROWS)) -budget=19m

.PHONY: bench-long
bench-long: bin/bench ## The same with five million rows and a minute for what takes ten seconds; goes on where it was stopped.
	@$(BENCH) -rows=$(if $(filter file,$(origin ROWS)),5000000,$(ROWS)) -time=6 -state=bin/bench-long.state

.PHONY: bench-peers
bench-peers: bin/bench ## The same beside a hand-written loop and Debezium Server, which is fetched (780 MB; Java 21 or newer).
	@$(BENCH) -rows=$(if $(filter file,$(origin ROWS)),200000,$(ROWS)) -peers

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters (the first time builds them, which takes minutes).
	@$(GOLANGCI_LINT) run

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code.
	@$(GOLANGCI_LINT) fmt

.PHONY: vet
vet: ## Run go vet.
	@$(GO) vet ./...

.PHONY: vuln
vuln: ## Look for known vulnerabilities (needs its database on the network).
	@$(GO) run golang.org/x/vuln/cmd/govulncheck@v$(GOVULNCHECK_VERSION) ./...

.PHONY: build
build: ## Build the static binary bin/outbox-relay.
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/outbox-relay ./cmd/outbox-relay

.PHONY: clean
clean: ## Remove what was built here.
	@rm -rf bin

# Always asked: only the go command knows whether its sources changed.
.PHONY: bin/with-servers
bin/with-servers:
	@$(GO) build -buildvcs=false -o $@ ./internal/stack/cmd/with-servers

.PHONY: bin/chaos
bin/chaos:
	@$(GO) build -buildvcs=false -o $@ ./internal/chaos/cmd/chaos

.PHONY: bin/bench
bin/bench:
	@$(GO) build -buildvcs=false -o $@ ./internal/bench/cmd/bench

# An installed linter of the right version saves the minutes.
$(GOLANGCI_LINT):
	@mkdir -p bin
	@for found in "$$(command -v golangci-lint)" "$$($(GO) env GOPATH)/bin/golangci-lint"; do \
		if [ -x "$$found" ] && "$$found" version | grep -q 'version v\?$(GOLANGCI_LINT_VERSION) '; then \
			ln -s "$$found" $@; exit 0; \
		fi; \
	done; \
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI_LINT_VERSION) && \
	mv bin/golangci-lint $@
