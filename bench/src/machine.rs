//! Where and with what was measured: the machine, versions, date.

use std::fs;
use std::process::Command;

use crate::servers::ServerKind;

/// The machine and the programs, as a Markdown list; what cannot be found out is left out.
pub(crate) fn describe(ostler: &std::path::Path, kinds: &[ServerKind]) -> String {
    let cores = std::thread::available_parallelism()
        .map(|cores| format!(", {cores} cores"))
        .ok();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpuinfo_value(&cpuinfo, "model name").map(|model| {
        // The kernel shows guests this flag.
        let flags = cpuinfo_value(&cpuinfo, "flags").unwrap_or_default();
        let guest = flags.split_whitespace().any(|flag| flag == "hypervisor");
        let virtual_machine = if guest { ", a virtual machine" } else { "" };
        format!("{model}{}{virtual_machine}", cores.unwrap_or_default())
    });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    let load = fs::read_to_string("/proc/loadavg").ok();
    let load = load
        .as_deref()
        .and_then(|load| load.split_whitespace().next())
        .map(str::to_owned);
    let version = |kind, program: &str, argument: &str| {
        kinds
            .contains(&kind)
            .then(|| said(program, &[argument]))
            .flatten()
    };
    let facts = [
        ("CPU", cpu),
        (
            "Kernel",
            kernel.map(|release| format!("Linux {}", release.trim())),
        ),
        ("Date", said("date", &["-u", "+%F"])),
        ("Load average before", load),
        ("Ostler", said(&ostler.to_string_lossy(), &["--version"])),
        ("Commit", said("git", &["describe", "--always", "--dirty"])),
        (
            "nginx",
            version(ServerKind::Nginx, "nginx", "-v").map(|said| between(&said, "/", " ")),
        ),
        (
            "HAProxy",
            version(ServerKind::Haproxy, "haproxy", "-v")
                .map(|said| between(&said, "version ", " ")),
        ),
        (
            "wrk",
            said("wrk", &["-v"]).map(|said| between(&said, "wrk ", " ")),
        ),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, fact)| Some((name, fact?)));
    known
        .map(|(name, fact)| format!("- {name}: {fact}\n"))
        .collect()
}

/// The first line a program prints, wherever it prints it and however it ends: `wrk -v` fails.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = String::from_utf8_lossy(&text);
    Some(text.lines().next()?.trim().to_owned())
}

/// What stands between the first `start` and the next `end`; all there is where either is missing.
fn between(text: &str, start: &str, end: &str) -> String {
    let text = text.split_once(start).map_or(text, |(_, text)| text);
    text.split_once(end)
        .map_or(text, |(text, _)| text)
        .to_owned()
}

/// `/proc/cpuinfo`, of its first CPU.
fn cpuinfo_value<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_in_cpuinfo_by_their_whole_name() {
        let cpuinfo = "model\t\t: 17\nmodel name\t: A CPU\n\nmodel name\t: Another\n";
        assert_eq!(cpuinfo_value(cpuinfo, "model name"), Some("A CPU"));
        assert_eq!(cpuinfo_value(cpuinfo, "model"), Some("17"));
        assert_eq!(cpuinfo_value(cpuinfo, "flags"), None);
    }

    #[test]
    fn cuts_versions_out() {
        assert_eq!(between("nginx version: nginx/1.22.1", "/", " "), "1.22.1");
        assert_eq!(
            between("HAProxy version 2.6.12-1 2026/10/17", "version ", " "),
            "2.6.12-1"
        );
        assert_eq!(between("1.0", "version ", " "), "1.0");
    }

    #[test]
    fn takes_the_first_line_of_output_or_errors() {
        assert_eq!(
            said("sh", &["-c", "echo one; echo two"]),
            Some("one".to_owned())
        );
        assert_eq!(
            said("sh", &["-c", "echo three >&2; exit 1"]),
            Some("three".to_owned())
        );
        assert_eq!(said("sh", &["-c", ":"]), None);
    }
}
