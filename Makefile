# Targets only; what they do is in scripts/. Every target installs what it needs first (Bun and the dev tools, from npm).
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/node_modules/.bin:$(PATH)
.PHONY: run test check build bench sim sim-planted fuzz native crash memory compat s3-tests ci setup format clean

run: build ## a server on ./data{1...4}
	@scripts/run.sh

test: setup ## all tests but the client suites; last line "N passed, N failed, N skipped"
	@scripts/codec.sh && scripts/test-summary.sh test

check: setup ## format, lint, floating promises, types, tidy rules
	@scripts/check.sh

build: setup ## dist/sherd, one executable
	@scripts/codec.sh && scripts/build.sh

bench: build ## micro benchmarks, then load against a running server
	@scripts/bench.sh $(ARGS)

sim: setup ## SEED=n replays one run, SEEDS=n runs so many
	@scripts/codec.sh && SHERD_SIM_SEED=$(SEED) SHERD_SIM_SEEDS=$(SEEDS) scripts/test-summary.sh test/sim

sim-planted: setup ## bugs planted in the code, one by one: each must be caught within ten minutes; PLANT=name tries one
	@scripts/codec.sh && PLANT='$(PLANT)' bun test/sim/planted/main.ts

fuzz: setup ## SECONDS_EACH=n bounds each target, SEED=n takes another sequence
	@scripts/codec.sh && SHERD_FUZZ_SEED=$(SEED) SHERD_FUZZ_SECONDS=$(SECONDS_EACH) scripts/test-summary.sh test/fuzz

native: ## the codec's C tests: every tier, with sanitizers, and for arm64 under qemu
	@scripts/codec-native.sh

crash: setup ## kill -9 before every step of every operation, then under load for KILL_SECONDS (default 60)
	@scripts/codec.sh && CRASH_STRIDE=1 KILL_SECONDS=$${KILL_SECONDS:-60} scripts/test-summary.sh test/cluster/crash.test.ts test/cluster/kill-loop.test.ts

crash-points: setup ## a recorded run of the storage layer, cut at every step, unsynced writes lost in sampled subsets
	@scripts/codec.sh && CRASH_STRIDE=1 scripts/test-summary.sh test/sim/crash-points.test.ts

memory: setup ## 64 slow uploads and downloads, a PUT of 5 GiB, 10,000 parts: under 4 minutes, 12 GB below TMPDIR
	@scripts/codec.sh && bun test/memory/main.ts

compat: build ## real clients and MinIO's drives against dist/sherd; SUITES="aws rclone" picks some
	@test/compat/run.sh $(SUITES)

s3-tests: build ## ceph's s3-tests against dist/sherd: S3TESTS_DIR names a checkout, ARGS="-k acl" picks some
	@test/compat/s3-tests/run.sh $(ARGS)

ci: ## check, test, native, build and compat, with one sum at the end
	@scripts/ci.sh

setup: ## Bun into .tools, dependencies into node_modules
	@scripts/setup.sh

format: setup ## rewrite the sources in the house format
	@biome format --write .

clean: ## everything that a build made; never data
	@rm -rf build dist
