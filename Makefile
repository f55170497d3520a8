# Thin names over cargo and scripts/. Everything honours CARGO_TARGET_DIR.
# `make demo` and `make test` work from a clean clone as root on Debian 12.

CARGO := scripts/cargo.sh

.PHONY: setup demo lint unit test vm-test bench fuzz bless bless-figures

setup:
	scripts/setup.sh test

demo:
	scripts/setup.sh run
	scripts/demo.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	shellcheck -x -P scripts scripts/*.sh scripts/guest/init .ci/run

unit:
	$(CARGO) test --locked --workspace

# One after the other, whatever -j says: the suites measure, and share two processors.
test:
	scripts/setup.sh test
	$(MAKE) lint
	$(MAKE) unit
	scripts/test-host.sh
	scripts/test-vm.sh 6.1 6.12 7.2

vm-test:
	scripts/setup.sh test
	scripts/test-vm.sh all

bench:
	scripts/setup.sh test
	scripts/bench.sh

fuzz:
	scripts/setup.sh run
	scripts/fuzz.sh

bless:
	$(CARGO) run --quiet -p bpfquery-testkit --bin bpfquery-testkit -- bless --cases testdata/cases
	BLESS=1 $(CARGO) test --quiet -p bpfquery-testkit --test docs

bless-figures:
	scripts/setup.sh test
	scripts/figures.sh all
