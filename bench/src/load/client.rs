//! What a client is asked for, and what it saw.

use std::fmt;
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::protocol::Protocol;

/// What the client asks for, and how hard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) protocol: Protocol,
    /// Bytes in each response's body.
    pub(crate) size: u64,
    pub(crate) clients: Clients,
    /// For how long.
    pub(crate) seconds: u32,
}

/// Keep-alive connections, and how many requests are under way on each at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Clients {
    pub(crate) connections: u32,
    /// More than one are streams of HTTP/2.
    pub(crate) streams: u32,
}

impl Clients {
    /// One request at a time on each connection.
    pub(crate) const fn new(connections: u32) -> Self {
        Self {
            connections,
            streams: 1,
        }
    }
}

/// `64`, or `10x10`: connections, and streams on each.
impl FromStr for Clients {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (connections, streams) = text.split_once('x').unwrap_or((text, "1"));
        let number = |text: &str| match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!(
                "{text:?} is no number above zero: 64 are connections, 10x10 connections with streams"
            )),
        };
        Ok(Self {
            connections: number(connections)?,
            streams: number(streams)?,
        })
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.streams {
            1 => write!(f, "{}", self.connections),
            streams => write!(f, "{}x{streams}", self.connections),
        }
    }
}

/// What the client saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LoadResult {
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) latency: Latency,
    /// Connections that failed and responses with an error status.
    pub(crate) errors: u64,
}

/// Percentiles of the time from request to complete response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p90: Duration,
    pub(crate) p99: Duration,
}

/// What a command prints.
pub(super) fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{program} failed: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_written_as_they_are_read() {
        for text in ["64", "10x10"] {
            assert_eq!(text.parse::<Clients>().unwrap().to_string(), text);
        }
        assert_eq!("7x1".parse::<Clients>(), Ok(Clients::new(7)));
        for text in ["", "x", "0", "3x", "3x0", "-1", "1x1x1"] {
            assert!(text.parse::<Clients>().is_err(), "{text}");
        }
    }
}
