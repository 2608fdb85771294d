//! Instruction counts of the hot paths, by callgrind: the same on every run, so that a regression of a few
//! percent is seen where time cannot show it.
//!
//! Each workload runs in a process of its own, twice, the second time with twice as many calls: what is
//! more is what the calls cost, and starting and setting up cancel out. The counts that are accepted stand in
//! `counts.txt`, with what they depend on: the compiler, and which vector instructions the processor has
//! (httparse, memchr and the C library choose their code by that).

mod counts;
mod valgrind;
mod workloads;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use counts::{Accepted, Counts};
use workloads::WORKLOADS;

/// Said where nothing can be compared: what `.ci/step` passes over.
const PASSED_OVER: u8 = 75;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => compare(),
        ["--accept"] => accept(),
        // What runs under valgrind.
        ["run", name, calls] => run(name, calls.parse()?),
        ["vectors"] => {
            println!("{}", counts::vectors());
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("ostler-instructions [--accept]"),
    }
}

fn run(name: &str, calls: u64) -> anyhow::Result<ExitCode> {
    let workload = WORKLOADS.iter().find(|workload| workload.name == name);
    let workload = workload.with_context(|| format!("there is no workload {name}"))?;
    let mut call = (workload.set_up)();
    for _ in 0..calls {
        call();
    }
    Ok(ExitCode::SUCCESS)
}

fn count() -> anyhow::Result<Counts> {
    let mut counts = Counts::new(valgrind::vectors()?);
    for workload in WORKLOADS {
        counts.add(workload.name, valgrind::instructions_of_a_call(workload)?);
    }
    Ok(counts)
}

fn accept() -> anyhow::Result<ExitCode> {
    let counts = count()?;
    counts.write()?;
    print!("{counts}");
    Ok(ExitCode::SUCCESS)
}

fn compare() -> anyhow::Result<ExitCode> {
    let accepted = Accepted::read()?;
    let here = Counts::new(valgrind::vectors()?);
    if here.conditions() != accepted.conditions() {
        eprintln!(
            "the counts were taken with {}, and this is {}: they cannot be compared",
            accepted.conditions(),
            here.conditions()
        );
        return Ok(ExitCode::from(PASSED_OVER));
    }
    let dearer = accepted.compare(&count()?);
    if dearer == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "{dearer} of the hot paths are dearer than they may be. If that is the price of something that is \
         worth it: `just instructions --accept`, and say in the commit why."
    );
    Ok(ExitCode::FAILURE)
}
