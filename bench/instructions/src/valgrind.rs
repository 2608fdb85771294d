//! This program, run under callgrind.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::workloads::Workload;

/// Which vector instructions the processor has that valgrind shows.
pub(crate) fn vectors() -> anyhow::Result<String> {
    let output = callgrind("vectors", &["vectors"])?.stdout;
    Ok(String::from_utf8(output)?.trim().to_owned())
}

/// How many instructions a call of it takes.
pub(crate) fn instructions_of_a_call(workload: &Workload) -> anyhow::Result<u64> {
    let once = instructions(workload, workload.calls)?;
    let twice = instructions(workload, 2 * workload.calls)?;
    Ok((twice - once) / workload.calls)
}

fn instructions(workload: &Workload, calls: u64) -> anyhow::Result<u64> {
    let output = callgrind(workload.name, &["run", workload.name, &calls.to_string()])?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, collected) =
        collected.with_context(|| format!("callgrind has counted nothing: {said}"))?;
    Ok(collected.trim().parse()?)
}

/// What is counted can be looked at with `callgrind_annotate target/instructions/NAME`.
fn callgrind(name: &str, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
    let program = std::env::current_exe()?;
    let folder = program
        .ancestors()
        .find(|folder| folder.ends_with("release") || folder.ends_with("debug"))
        .and_then(|folder| folder.parent())
        .map_or_else(|| PathBuf::from("."), |target| target.join("instructions"));
    std::fs::create_dir_all(&folder)?;
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!(
            "--callgrind-out-file={}",
            folder.join(name).display()
        ))
        .arg(program)
        .args(arguments)
        .output()
        .context("valgrind cannot be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} fails under valgrind: {said}");
    }
    Ok(output)
}
