# Every step of the continuous integration, the same way locally; what they do stands in `.ci/step`.
# `just` lists them.

_default:
    @just --list --unsorted

# Everything that a change must pass, in the order that fails soonest.
ci:
    .ci/run

# Formatting.
fmt:
    .ci/step fmt

# Spelling.
typos:
    .ci/step typos

# Lints.
clippy:
    .ci/step clippy

# Documentation, private items and links included.
doc:
    .ci/step doc

# The oldest compiler that must do.
msrv:
    .ci/step msrv

# Licences, advisories and sources of dependencies.
deny:
    .ci/step deny

# Whether the copies of other people's crates are their releases and our patches.
vendor:
    .ci/step vendor

# Benchmarks, once each, to see that they run.
bench-once:
    .ci/step bench_once

# Whether the hot paths take more instructions than was accepted. `just instructions --accept` accepts.
instructions *ARGS:
    .ci/step instructions {{ ARGS }}

# Whether the target library's API names only what it may of other crates.
external-types:
    .ci/step external_types

# What a change breaks for applications that use the target library, since a revision or the last release.
semver *REVISION:
    .ci/step semver {{ REVISION }}

# How much of the code the tests reach.
coverage *ARGS:
    .ci/step coverage {{ ARGS }}

# Every interleaving of ring and wake-ups.
loom:
    .ci/step loom

# Undefined behaviour, where the interpreter can run the code: no sockets, no mapped memory.
miri:
    .ci/step miri

# Each fuzz target, or one, for so many seconds.
fuzz SECONDS="10" TARGET="":
    .ci/step fuzz {{ SECONDS }} {{ TARGET }}

# The Python package, with real frameworks and clients: arguments go to pytest.
python *ARGS:
    .ci/step python {{ ARGS }}

# The package for Node.
node:
    .ci/step node

# The Go package.
go:
    .ci/step go

# Unit, integration, end-to-end and documentation tests.
test *ARGS:
    .ci/step test {{ ARGS }}

# Targets and front killed, stopped and restarted under load, for so many seconds, by a story of its seed's.
chaos SECONDS="60" SEED="1":
    .ci/step chaos {{ SECONDS }} {{ SEED }}

# Kernel TLS, in a virtual machine whose kernel has it.
vm *SUITES:
    tests/vm/run {{ SUITES }}

# CPU per request, throughput and latency, side by side; see docs/performance.md.
bench *ARGS:
    cargo build --release -p ostler -p ostler-bench
    cargo run --release -p ostler-bench -- {{ ARGS }}

# The guided tour.
demo:
    cargo run --release -- demo

# Real clients against the front, installed where they are missing; see tests/clients/run.
clients *ARGS:
    tests/clients/run {{ ARGS }}

# Which module imports which, floor by floor: of all crates, or of the one that is named. `--write` makes the drawing
# in docs/architecture.md anew.
floors *ARGS:
    cargo run --quiet --package ostler-floors -- {{ ARGS }}
