# What there is to do here: run, build, test, test-crash, test-attack, sim, soak, fuzz, fuzz-smoke,
# bench, bench-smoke, micro, callgrind.

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
JOBS ?= 2
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
FUZZ_SECONDS ?= 10
# How often the gateway is killed, and at how many places a copy of its file is damaged.
CRASH_ROUNDS ?= 200
CRASH_FLIPS ?= 1000
# How many runs are simulated; PUSHGATEWAY_SEED=N plays that one alone, and shows it.
SEEDS ?= $(if $(PUSHGATEWAY_SEED),1,100000)
# How long the soak takes.
SOAK_SECONDS ?= 600
# The same every time, so that a check says the same about the same tree; FUZZ_SEED=0 takes a new one.
FUZZ_SEED ?= 1
# What the bench is told; see bench/bench.py.
export BENCH_RUNS BENCH_ROWS BENCH_ATTACKS BENCH_CHURN BENCH_LOCK BENCH_NICE BASE CASES

.PHONY: run build test test-crash test-attack sim soak check tools fuzz fuzz-smoke bench bench-smoke micro callgrind

# The gateway on :9091.
run:
	cargo run --release

build:
	cargo build --release --jobs $(JOBS)

# Everything that has to hold before a change goes in. Installs what it needs, and only what is missing. The fuzzer's
# seeds are replayed; the fuzzer itself is not run, since it may find today what was there yesterday.
test: tools
	$(MAKE) check

check:
	cargo fmt --check
	cargo clippy --all-targets --jobs $(JOBS) -- -D warnings
	cargo clippy --no-default-features --jobs $(JOBS) -- -D warnings
	RUST_BACKTRACE=0 cargo test --jobs $(JOBS) --no-fail-fast -- --test-threads=$(JOBS)

# Kills the release build again and again and prints what was checked. PUSHGATEWAY_SEED=N kills at other moments.
test-crash: build
	RUST_BACKTRACE=0 PUSHGATEWAY_BIN='$(TARGET)/release/pushgateway' \
	  PUSHGATEWAY_CRASH_ROUNDS=$(CRASH_ROUNDS) PUSHGATEWAY_FLIPS=$(CRASH_FLIPS) \
	  cargo test --jobs $(JOBS) --test it --no-fail-fast -- --test-threads=$(JOBS) --nocapture crash:: persistence::damage::

# Slow heads, slow bodies and slow readers by the thousand, for a minute, beside one honest client; prints its latencies.
ATTACK_CONNECTIONS ?= 10000
ATTACK_SECONDS ?= 60
ATTACK_P99_MS ?= 10
test-attack: build
	PUSHGATEWAY_BIN='$(TARGET)/release/pushgateway' PUSHGATEWAY_ATTACK_CONNECTIONS=$(ATTACK_CONNECTIONS) \
	  PUSHGATEWAY_ATTACK_SECONDS=$(ATTACK_SECONDS) PUSHGATEWAY_ATTACK_P99_MS=$(ATTACK_P99_MS) \
	  cargo test --jobs $(JOBS) --test it -- --nocapture attacks::flood

# The server in simulated machines: as many runs as SEEDS says, at full speed and with all assertions.
sim:
	RUST_BACKTRACE=0 PUSHGATEWAY_SEEDS=$(SEEDS) \
	  cargo test --profile sim --jobs $(JOBS) --lib -- --test-threads=$(JOBS) --nocapture server::sim::even server::sim::odd

# A mixed load on the release build for SOAK_SECONDS; prints what it takes once a minute, and judges it at the end.
soak: build
	RUST_BACKTRACE=0 PUSHGATEWAY_BIN='$(TARGET)/release/pushgateway' SOAK_SECONDS=$(SOAK_SECONDS) \
	  cargo test --jobs $(JOBS) --test it -- --nocapture soak::

tools:
	tests/install-tools.sh '$(TARGET)'

# Each target for half an hour (FUZZ_SECONDS=N for another time), every time from another start.
fuzz: FUZZ_SECONDS = 1800
fuzz: FUZZ_SEED = 0
fuzz: fuzz-smoke

# Each target for a few seconds, from the seeds and what earlier runs found. No sanitizer: there is no unsafe code
# to watch, and a stable toolchain can build it.
fuzz-smoke:
	cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --version 0.13.2 --locked
	cargo fuzz build --sanitizer none --target-dir '$(TARGET)/fuzz'
	@set -e; for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$target; \
	  echo "fuzz: $$target for $(FUZZ_SECONDS) s"; \
	  cargo fuzz run --sanitizer none --target-dir '$(TARGET)/fuzz' $$target fuzz/corpus/$$target fuzz/seeds/$$target \
	    -- -seed=$(FUZZ_SEED) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0; \
	done

# The gateway beside the original, nginx and a floor: half an hour for five runs of all rows. bench/bench.py tells what
# can be set; `make bench BENCH_ROWS=growth BENCH_RUNS=1` shows how cost grows, `make bench BENCH_ROWS=hostile` what an
# honest client notices of hostile ones (five minutes).
bench:
	bench/run.sh $(JOBS)

# Little of everything, to see that it works.
bench-smoke:
	BENCH_SMOKE=1 BENCH_RUNS=1 BENCH_ROWS=$(or $(BENCH_ROWS),all) bench/run.sh $(JOBS)

# The steps of a push and a scrape by themselves: their times, and their instructions, which noise does not touch. In a
# folder of their own, since cargo would replace the release binary by one with the features of tests.
micro:
	cargo bench --bench micro --jobs $(JOBS) --target-dir '$(TARGET)/micro'

callgrind:
	command -v valgrind >/dev/null || tests/install-packages.sh valgrind
	bench/callgrind.py
