//! `wrk`: HTTP/1.1, a request at a time on each connection.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::client::{Latency, Load, LoadResult, output_of};

pub(super) fn run(load: &Load, url: &str) -> anyhow::Result<LoadResult> {
    let text = output_of(
        Command::new("wrk")
            .args(["-t1", "--latency", "--timeout", "10s"])
            .arg(format!("-c{}", load.clients.connections))
            .arg(format!("-d{}s", load.seconds))
            .arg(url),
    )
    .context("the Debian package has its name")?;
    parse(&text).with_context(|| format!("cannot make sense of wrk's {text}"))
}

fn parse(text: &str) -> Option<LoadResult> {
    let (mut requests, mut rate, mut errors) = (None, None, 0);
    let [mut p50, mut p90, mut p99] = [None; 3];
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["50%", time] => p50 = duration(time),
            ["90%", time] => p90 = duration(time),
            ["99%", time] => p99 = duration(time),
            [count, "requests", "in", ..] => requests = count.parse().ok(),
            ["Requests/sec:", count] => rate = count.parse().ok(),
            ["Socket", "errors:", ..] | ["Non-2xx", ..] => {
                let counts = words.iter().map(|word| word.trim_end_matches(','));
                errors += counts
                    .filter_map(|word| word.parse::<u64>().ok())
                    .sum::<u64>();
            }
            _ => {}
        }
    }
    Some(LoadResult {
        requests: requests?,
        requests_per_second: rate?,
        latency: Latency {
            p50: p50?,
            p90: p90?,
            p99: p99?,
        },
        errors,
    })
}

/// `635.91us`, `1.05ms`, `2.00s`, `1.50m`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
Running 30s test @ http://127.0.0.1:8080/bytes/13
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   635.91us    0.89ms  12.92ms   93.69%
    Req/Sec    56.20k     8.07k   62.00k    86.67%
  Latency Distribution
     50%  250.00us
     75%  491.00us
     90%    1.50ms
     99%    2.00s
  1687293 requests in 30.02s, 1.36GB read
";

    #[test]
    fn reads_what_wrk_prints() {
        let text = format!("{OUTPUT}Requests/sec:  56206.10\nTransfer/sec:     46.40MB\n");
        let expected = LoadResult {
            requests: 1_687_293,
            requests_per_second: 56_206.1,
            latency: Latency {
                p50: Duration::from_micros(250),
                p90: Duration::from_micros(1500),
                p99: Duration::from_secs(2),
            },
            errors: 0,
        };
        assert_eq!(parse(&text), Some(expected));
    }

    #[test]
    fn adds_up_failed_connections_and_error_statuses() {
        let text = format!(
            "{OUTPUT}  Socket errors: connect 1, read 20, write 300, timeout 4000\n  \
             Non-2xx or 3xx responses: 50000\nRequests/sec:  56206.10\n"
        );
        assert_eq!(parse(&text).unwrap().errors, 54_321);
    }

    #[test]
    fn output_without_the_total_is_no_result() {
        assert_eq!(parse(OUTPUT), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn knows_the_units_of_time() {
        let times = [
            ("12.50us", 12_500),
            ("1.05ms", 1_050_000),
            ("1.50m", 90_000_000_000),
        ];
        for (text, nanoseconds) in times {
            assert_eq!(
                duration(text),
                Some(Duration::from_nanos(nanoseconds)),
                "{text}"
            );
        }
        for text in ["", "12", "ms", "1.5days", "-1.00s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
