# Every step of the continuous integration, the same way locally. `just` lists them.

export RUSTDOCFLAGS := env("RUSTDOCFLAGS", "-D warnings")

_default:
    @just --list --unsorted

# Everything that a change must pass, in the order that fails soonest.
ci: fmt clippy doc test loom deny typos

# Formatting.
fmt:
    cargo fmt --all --check

# Lints.
clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# Documentation, private items and links included.
doc:
    cargo doc --workspace --no-deps --document-private-items

# Unit, integration, end-to-end and documentation tests.
test *ARGS:
    cargo test --workspace {{ ARGS }}

# The oldest compiler that must do.
msrv:
    cargo +1.95 check --workspace --all-targets

# Every interleaving of ring and wake-ups.
loom:
    RUSTFLAGS="--cfg loom" cargo test --release -p ostler-shm --lib --target-dir target/loom loom

# Kernel TLS, in a virtual machine whose kernel has it.
vm *SUITES:
    tests/vm/run {{ SUITES }}

# Undefined behaviour, where the interpreter can run the code: no sockets, no mapped memory.
miri:
    cargo +nightly miri test -p ostler-http1 --lib
    cargo +nightly miri test -p ostler-shm --lib

# Each fuzz target for so many seconds.
fuzz SECONDS="10":
    #!/usr/bin/env bash
    set -euo pipefail
    cd fuzz
    for target in $(cargo +nightly fuzz list); do
        cargo +nightly fuzz run "$target" -- -max_total_time={{ SECONDS }}
    done

# Licences, advisories and sources of dependencies.
deny:
    cargo deny check

# Spelling.
typos:
    typos

# CPU per request, throughput and latency, side by side; see docs/performance.md.
bench *ARGS:
    cargo build --release --workspace
    cargo run --release -p ostler-bench -- {{ ARGS }}

# The guided tour.
demo:
    cargo run --release -- demo

# Real clients against the front, installed where they are missing; see tests/clients/run.
clients *ARGS:
    tests/clients/run {{ ARGS }}
