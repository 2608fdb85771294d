//! The report: tables in Markdown, plots, and their place in `docs/performance.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::measure::{Sample, Samples, Scenario, Trace, median};
use crate::plot::{Bar, Group, Plot, short};
use crate::protocol::Protocol;
use crate::servers::{Role, ServerKind};

const BEGIN: &str = "<!-- generated: begin -->";
const END: &str = "<!-- generated: end -->";
const PLOTS: &str = "performance";
/// What the plots are of; the tables have the other protocols, too.
const PLOTTED: Protocol = Protocol::Http1;
/// A process sleeps in the first ones and wakes another by the last: no server measured here calls
/// `write` for anything but an eventfd.
const WAKE_UPS: [&str; 4] = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "write"];

/// The tables of all sizes measured, each with its plots if they are `written`.
pub(crate) fn results(samples: &Samples, written: bool) -> String {
    let parts = samples
        .scenarios()
        .map(|scenario| (scenario.protocol, scenario.size));
    let parts: BTreeSet<_> = parts.collect();
    let mut text = String::new();
    for (protocol, size) in parts {
        text += &format!("### {}\n\n", responses(protocol, size));
        if written && protocol == PLOTTED {
            for (file, plot) in plots(samples, size) {
                text += &format!("![{}]({PLOTS}/{file})\n\n", plot.title);
            }
        }
        text += &table(&rows(samples, protocol, size));
        text += "\n";
    }
    text
}

/// `13 B responses`, and what the clients speak where that is not HTTP/1.1 in clear.
fn responses(protocol: Protocol, size: u64) -> String {
    let size = size_name(size);
    match protocol {
        Protocol::Http1 => format!("{size} responses"),
        _ => format!("{size} responses, {}", protocol.name()),
    }
}

fn rows(samples: &Samples, protocol: Protocol, size: u64) -> Vec<Vec<String>> {
    let header = [
        "connections",
        "server",
        "CPU/request",
        "lowest-highest",
        "front + app",
        "to direct",
        "to delegated",
        "requests/s",
        "p50",
        "p90",
        "p99",
        "waits/request",
        "errors",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let is_meant = |scenario: &Scenario| (scenario.protocol, scenario.size) == (protocol, size);
    for scenario in samples.scenarios().filter(is_meant) {
        for (kind, rounds) in samples.of(scenario) {
            rows.push(row(samples, scenario, kind, rounds));
        }
    }
    rows
}

fn row(samples: &Samples, scenario: Scenario, kind: ServerKind, rounds: &[Sample]) -> Vec<String> {
    let middle = |value: fn(&Sample) -> f64| median(rounds.iter().map(value)).unwrap_or(f64::NAN);
    let time = |value: fn(&Sample) -> Duration| {
        let seconds = median(rounds.iter().map(|sample| value(sample).as_secs_f64()));
        milliseconds(seconds.unwrap_or(f64::NAN))
    };
    let ratio = |base| match samples.cpu_ratio(scenario, kind, base) {
        Some(ratio) => format!("{ratio:.2}"),
        None => "-".to_owned(),
    };
    let cpu = || rounds.iter().map(Sample::cpu);
    let both = |front: f64, app: f64| match kind {
        ServerKind::Direct => short(app),
        _ => format!("{} + {}", short(front), short(app)),
    };
    vec![
        scenario.clients.to_string(),
        kind.name_over(scenario.protocol).to_owned(),
        format!("{} us", short(middle(Sample::cpu))),
        format!(
            "{}-{}",
            short(cpu().fold(f64::INFINITY, f64::min)),
            short(cpu().fold(0.0, f64::max))
        ),
        both(
            middle(|sample| sample.front.cpu),
            middle(|sample| sample.app.cpu),
        ),
        ratio(ServerKind::Direct),
        ratio(ServerKind::Delegated),
        format!("{:.0}", middle(|sample| sample.requests_per_second)),
        time(|sample| sample.latency.p50),
        time(|sample| sample.latency.p90),
        time(|sample| sample.latency.p99),
        both(
            middle(|sample| sample.front.waits),
            middle(|sample| sample.app.waits),
        ),
        rounds
            .iter()
            .map(|sample| sample.errors)
            .sum::<u64>()
            .to_string(),
    ]
}

/// One plot of the CPU time and one of the latency, with their file names.
fn plots(samples: &Samples, size: u64) -> [(String, Plot); 2] {
    let groups = |bar: fn(ServerKind, &[Sample]) -> Bar| {
        let is_meant = |scenario: &Scenario| (scenario.protocol, scenario.size) == (PLOTTED, size);
        let scenarios = samples.scenarios().filter(is_meant);
        let group = |scenario: Scenario| Group {
            label: format!("{} connections", scenario.clients),
            bars: samples
                .of(scenario)
                .map(|(kind, rounds)| bar(kind, rounds))
                .collect(),
        };
        scenarios.map(group).collect::<Vec<_>>()
    };
    let name = size_name(size);
    let cpu = Plot {
        title: format!("CPU time per request, {name} responses"),
        subtitle: "microseconds of all server processes; solid: the application, pale: the front"
            .to_owned(),
        groups: groups(|kind, rounds| {
            let part = median(rounds.iter().map(|sample| sample.app.cpu)).unwrap_or_default();
            // The medians of the parts may come from other rounds than that of the whole.
            let whole = median(rounds.iter().map(Sample::cpu))
                .unwrap_or_default()
                .max(part);
            Bar { kind, part, whole }
        }),
    };
    let latency = Plot {
        title: format!("Latency, {name} responses"),
        subtitle: "milliseconds; solid: median, pale: up to the 99th percentile".to_owned(),
        groups: groups(|kind, rounds| {
            let percentile = |value: fn(&Sample) -> Duration| {
                let seconds = rounds.iter().map(|sample| value(sample).as_secs_f64());
                median(seconds).unwrap_or_default() * 1e3
            };
            let part = percentile(|sample| sample.latency.p50);
            Bar {
                kind,
                part,
                whole: percentile(|sample| sample.latency.p99),
            }
        }),
    };
    [
        (format!("cpu-{size}.svg"), cpu),
        (format!("latency-{size}.svg"), latency),
    ]
}

/// The table of system calls per request.
pub(crate) fn system_calls(scenario: Scenario, traces: &[Trace]) -> String {
    let name = |kind: ServerKind| kind.name_over(scenario.protocol);
    let mut header = vec!["calls per request".to_owned()];
    header.extend(traces.iter().map(|trace| match (trace.kind, trace.role) {
        (ServerKind::Direct, Role::App) => name(trace.kind).to_owned(),
        (kind, role) => format!("{}: {}", name(kind), role.name()),
    }));
    let mut rows = vec![header];
    let names: BTreeSet<_> = traces.iter().flat_map(Trace::names).collect();
    for name in &names {
        let counts: Vec<_> = traces.iter().map(|trace| trace.per_request(name)).collect();
        // What happens once a connection, or less, is no cost of a request.
        if counts.iter().any(|(calls, _)| *calls >= 0.01) {
            rows.push(row_of_calls(&format!("`{name}`"), counts));
        }
    }
    let sum_of = |names: &[&str]| -> Vec<_> {
        let sum = |trace: &Trace| {
            let counts = names.iter().map(|name| trace.per_request(name));
            counts.fold((0.0, 0.0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
        };
        traces.iter().map(sum).collect()
    };
    let all: Vec<_> = names.iter().copied().collect();
    rows.push(row_of_calls("all", sum_of(&all)));
    rows.push(row_of_calls(
        "wake-ups: `epoll_wait` and eventfd `write`",
        sum_of(&WAKE_UPS),
    ));
    format!(
        "### {}, {} connections\n\n{}\n",
        responses(scenario.protocol, scenario.size),
        scenario.clients,
        table(&rows)
    )
}

fn row_of_calls(name: &str, counts: Vec<(f64, f64)>) -> Vec<String> {
    let cells = counts
        .into_iter()
        .map(|(calls, errors)| match (calls, errors) {
            (calls, _) if calls < 0.005 => "-".to_owned(),
            (calls, errors) if errors < 0.005 => format!("{calls:.2}"),
            (calls, errors) => format!("{calls:.2} ({errors:.2} failed)"),
        });
    std::iter::once(name.to_owned()).chain(cells).collect()
}

/// Puts the parts into the places `page` keeps for them, and writes the plots beside it.
pub(crate) fn write(page: &Path, parts: &[&str], samples: &Samples) -> anyhow::Result<()> {
    let shown = page.display();
    let text = fs::read_to_string(page).with_context(|| format!("cannot read {shown}"))?;
    let text = replace_generated(&text, parts).with_context(|| format!("in {shown}"))?;
    let folder = page.with_file_name(PLOTS);
    fs::create_dir_all(&folder)?;
    let plotted = samples
        .scenarios()
        .filter(|scenario| scenario.protocol == PLOTTED);
    let sizes: BTreeSet<_> = plotted.map(|scenario| scenario.size).collect();
    for (file, plot) in sizes.into_iter().flat_map(|size| plots(samples, size)) {
        fs::write(folder.join(file), plot.svg())?;
    }
    fs::write(page, text)?;
    Ok(())
}

/// Replaces what stands between the n-th pair of marks by the n-th part.
fn replace_generated(text: &str, parts: &[&str]) -> anyhow::Result<String> {
    let mut sections = text.split(BEGIN);
    let mut replaced = sections.next().unwrap_or_default().to_owned();
    let mut parts = parts.iter();
    for section in sections {
        let (_, prose) = section
            .split_once(END)
            .with_context(|| format!("{END} is missing"))?;
        let part = parts.next().with_context(|| format!("too many {BEGIN}"))?;
        replaced += &format!("{BEGIN}\n\n{}\n\n{END}{prose}", part.trim());
    }
    ensure!(parts.next().is_none(), "too few {BEGIN}");
    Ok(replaced)
}

/// A Markdown table, padded to be read as it is; the first row is the header.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| -> usize {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            text += &format!("| {cell:width$} ");
        }
        text += "|\n";
        if at == 0 {
            for width in &widths {
                text += &format!("|{}", "-".repeat(width + 2));
            }
            text += "|\n";
        }
    }
    text
}

fn milliseconds(seconds: f64) -> String {
    format!("{} ms", short(seconds * 1e3))
}

/// `13 B`, `64 KiB`, `1 MiB`.
pub(crate) fn size_name(size: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = KIB * KIB;
    match size {
        size if size >= MIB && size % MIB == 0 => format!("{} MiB", size / MIB),
        size if size >= KIB && size % KIB == 0 => format!("{} KiB", size / KIB),
        size => format!("{size} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Clients;
    use crate::trace::{Calls, Counts};

    #[test]
    fn replaces_what_is_between_the_marks_and_nothing_else() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n{BEGIN}{END}\nc\n");
        let replaced = replace_generated(&page, &["one\n", "two"]).unwrap();
        let expected = format!("a\n{BEGIN}\n\none\n\n{END}\nb\n{BEGIN}\n\ntwo\n\n{END}\nc\n");
        assert_eq!(replaced, expected);
        assert_eq!(
            replace_generated(&replaced, &["one", "two"]).unwrap(),
            expected
        );
    }

    #[test]
    fn refuses_a_page_with_other_places() {
        let page = format!("{BEGIN}{END}");
        for (page, parts) in [
            ("", vec!["one"]),
            (&page, vec!["one", "two"]),
            (&page, vec![]),
            (BEGIN, vec!["one"]),
        ] {
            assert!(
                replace_generated(page, &parts).is_err(),
                "{page:?} {parts:?}"
            );
        }
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [["size", "x"], ["13 B", "100"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&rows),
            "| size | x   |\n|------|-----|\n| 13 B | 100 |\n"
        );
    }

    #[test]
    fn sizes_have_the_largest_unit_that_divides_them() {
        let sizes = [
            (13, "13 B"),
            (1024, "1 KiB"),
            (65536, "64 KiB"),
            (1 << 20, "1 MiB"),
        ];
        for (size, name) in sizes.into_iter().chain([(1025, "1025 B"), (0, "0 B")]) {
            assert_eq!(size_name(size), name);
        }
    }

    #[test]
    fn system_calls_are_divided_by_requests_and_rare_ones_left_out() {
        let counts = Counts::from([
            (
                "accept4".to_owned(),
                Calls {
                    calls: 9,
                    errors: 0,
                },
            ),
            (
                "epoll_wait".to_owned(),
                Calls {
                    calls: 500,
                    errors: 0,
                },
            ),
            (
                "recvfrom".to_owned(),
                Calls {
                    calls: 2000,
                    errors: 1000,
                },
            ),
            (
                "write".to_owned(),
                Calls {
                    calls: 250,
                    errors: 0,
                },
            ),
        ]);
        let trace = Trace::new(ServerKind::Delegated, Role::Front, 1000, counts);
        let scenario = Scenario {
            protocol: Protocol::Http1,
            size: 13,
            clients: Clients::new(64),
        };
        let text = system_calls(scenario, &[trace]);
        let row = |start: &str| {
            text.lines()
                .find(|line| line.contains(start))
                .unwrap_or_default()
        };
        assert!(
            row("| calls per request").contains("delegated: front"),
            "{text}"
        );
        assert!(row("`recvfrom`").contains("2.00 (1.00 failed)"), "{text}");
        assert!(row("| all").contains("2.76"), "{text}");
        assert!(row("| wake-ups").contains("0.75"), "{text}");
        assert!(!text.contains("accept4"), "{text}");
    }
}
