//! The access log: a line for each exchange, in a file or on standard output.
//!
//! A format is a function that appends a record's line; [`writer`] has the thread that writes.

mod combined;
mod date;
mod filter;
mod json;
#[cfg(test)]
mod tests;
mod text;
mod w3c;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ostler_config::{AccessLogConfig, AccessLogFormat};
use ostler_proxy::metrics::{Description, Family, Kind, Value};
use ostler_proxy::{AccessLog, AccessRecord};

use filter::Filter;
use writer::{Output, Writer};

pub(crate) static DROPPED: Description = Description {
    name: "ostler.access_log.dropped",
    kind: Kind::Counter,
    unit: "{line}",
    help: "Lines of the access log that there was no room for",
    attributes: &[],
};

/// How long a stop waits for lines to be written.
const LAST: Duration = Duration::from_secs(5);

/// The access log of a running front.
#[derive(Debug)]
pub(crate) struct AccessLogFile {
    format: AccessLogFormat,
    filter: Filter,
    /// The name of this machine.
    computer: String,
    writer: Writer,
}

impl AccessLogFile {
    /// Opens the file, and starts the thread that writes to it.
    pub(crate) fn open(config: &AccessLogConfig) -> anyhow::Result<Arc<Self>> {
        let output = match &config.path {
            Some(path) => Output::File(path.into()),
            None => Output::StandardOutput,
        };
        let preamble: fn() -> Vec<u8> = match config.format {
            AccessLogFormat::W3C => w3c::preamble,
            AccessLogFormat::Combined | AccessLogFormat::Json => Vec::new,
        };
        let computer = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let writer = Writer::start(output, preamble).with_context(|| {
            let path = config.path.as_deref().unwrap_or("standard output");
            format!("Ostler:AccessLog:Path: cannot write to {path}")
        })?;
        Ok(Arc::new(Self {
            format: config.format,
            filter: Filter::new(config.filter),
            computer: computer.trim_end().to_owned(),
            writer,
        }))
    }

    /// Has the file opened anew: the one of before has another name now. Lines of before are written to
    /// that.
    pub(crate) fn reopen(&self) {
        self.writer.reopen();
    }

    /// How many lines there was no room for.
    pub(crate) fn dropped(&self) -> Family {
        Family::single(&DROPPED, Value::Count(self.writer.dropped()))
    }

    /// Waits until everything is written, for a time.
    pub(crate) fn close(&self) {
        self.writer.close(LAST);
    }
}

impl AccessLog for AccessLogFile {
    fn write(&self, record: &AccessRecord<'_>) {
        if !self.filter.takes(record) {
            return;
        }
        let mut line = Vec::with_capacity(512);
        match self.format {
            AccessLogFormat::Combined => combined::append(&mut line, record),
            AccessLogFormat::Json => json::append(&mut line, record),
            AccessLogFormat::W3C => w3c::append(&mut line, record, &self.computer),
        }
        self.writer.push(&line);
    }
}
