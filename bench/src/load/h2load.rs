//! `h2load`: HTTP/2, several streams on each connection.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::client::{Latency, Load, LoadResult, output_of};

pub(super) fn run(load: &Load, url: &str) -> anyhow::Result<LoadResult> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("requests");
    let text = output_of(
        Command::new("h2load")
            .arg(format!("-D{}", load.seconds))
            .arg(format!("-c{}", load.clients.connections))
            .arg(format!("-m{}", load.clients.streams))
            .arg(format!("--log-file={}", log.display()))
            .arg(url),
    )
    .context("the Debian package is nghttp2-client")?;
    let log = fs::read_to_string(log)?;
    parse(&text, &log).with_context(|| format!("cannot make sense of h2load's {text}"))
}

/// `text` is what h2load prints, `log` has a line a request: its start, status and duration.
fn parse(text: &str, log: &str) -> Option<LoadResult> {
    let (mut rate, mut counts) = (None, None);
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["finished", "in", _, number, "req/s,", ..] => rate = number.parse().ok(),
            [
                "requests:",
                ..,
                done,
                "done,",
                _,
                "succeeded,",
                failed,
                "failed,",
                errored,
                "errored,",
                _,
                _,
            ] => {
                let number = |text: &str| text.parse::<u64>().ok();
                counts = Some((number(done)?, number(failed)?, number(errored)?));
            }
            _ => {}
        }
    }
    let (requests, failed, errored) = counts?;
    let mut durations = log
        .lines()
        .map(|line| line.split('\t').nth(2)?.parse().ok());
    let durations = durations.by_ref().collect::<Option<Vec<u64>>>()?;
    Some(LoadResult {
        requests,
        requests_per_second: rate?,
        latency: latency(durations),
        errors: failed + errored,
    })
}

/// Percentiles of durations in microseconds.
fn latency(mut durations: Vec<u64>) -> Latency {
    durations.sort_unstable();
    let percentile = |percent: usize| {
        let at = (durations.len() * percent / 100).min(durations.len().saturating_sub(1));
        Duration::from_micros(durations.get(at).copied().unwrap_or_default())
    };
    Latency {
        p50: percentile(50),
        p90: percentile(90),
        p99: percentile(99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
Application protocol: h2

finished in 1.01s, 2766.00 req/s, 105.83KB/s
requests: 2766 total, 2774 started, 2766 done, 2760 succeeded, 4 failed, 2 errored, 0 timeout
status codes: 2766 2xx, 0 3xx, 0 4xx, 0 5xx
";

    #[test]
    fn reads_what_h2load_prints_and_logs() {
        let log: String = (1..=100).map(|at| format!("17\t200\t{at}\n")).collect();
        let result = parse(OUTPUT, &log).unwrap();
        assert_eq!((result.requests, result.errors), (2766, 6));
        let expected = Latency {
            p50: Duration::from_micros(51),
            p90: Duration::from_micros(91),
            p99: Duration::from_micros(100),
        };
        assert_eq!(result.latency, expected);
    }

    #[test]
    fn what_is_cut_off_is_no_result() {
        assert_eq!(parse("", ""), None);
        assert_eq!(parse(OUTPUT, "17\t200\n"), None);
    }
}
