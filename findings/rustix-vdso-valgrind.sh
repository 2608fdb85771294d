#!/usr/bin/env bash
# A program whose clock is read by rustix crashes under valgrind, unless rustix asks libc where the vDSO is.
#
# What surprises: valgrind runs programs that make system calls without libc well, and rustix does nothing else. But
# valgrind has no vDSO for the program: it takes its address out of the list on the program's stack (AT_SYSINFO_EHDR) and
# unmaps it. rustix reads the list from the kernel (PR_GET_AUXV, or /proc/self/auxv), where the address still stands, and
# the first `clock_gettime` reads memory that is not there. The feature `use-libc-auxv`, which is off by default, has it
# ask libc, which has valgrind's list. Any crate of a program may use rustix, and features add up: so whoever links a
# Rust library into a C program that others check with valgrind turns it on.
#
# Versions: rustix 1.1.6, valgrind 3.19. Seen 2026-11-29.
# Source: rustix' Cargo.toml, src/backend/linux_raw/param/mod.rs; valgrind's coregrind/m_initimg/initimg-linux.c.
set -euo pipefail

command -v valgrind >/dev/null || { echo "there is no valgrind"; exit 75; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cd "$work"
cat > src/main.rs <<'RS'
fn main() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    println!("second {}", now.tv_sec);
}
RS

# What becomes of it with these features: `runs` or the signal's number.
tried() {
    cat > Cargo.toml <<TOML
[package]
name = "clock"
version = "0.0.0"
edition = "2024"
[dependencies]
rustix = { version = "=1.1.6", features = [$1] }
[workspace]
TOML
    cargo build --quiet
    local status=0
    valgrind --quiet --error-exitcode=99 target/debug/clock >out 2>&1 || status=$?
    [ "$status" -eq 0 ] && echo runs || echo "status $status"
}

bare=$(tried '"time"')
asking=$(tried '"time", "use-libc-auxv"')
echo "without the feature: $bare; with it: $asking"
# 139 is SIGSEGV.
if [ "$bare" != "status 139" ] || [ "$asking" != runs ]; then
    echo CHANGED
    exit 1
fi
echo "as described"
