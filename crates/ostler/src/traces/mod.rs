//! Traces: a span for each exchange that is sampled, sent to a collector by OTLP.
//!
//! Exchanges never wait: spans that there is no room for are dropped and counted. [`exporter`] has the thread
//! that sends; `send.rs` speaks the two transports.

mod exporter;
mod send;
mod span;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry_proto::tonic::trace::v1::Span;
use ostler_config::TracesConfig;
use ostler_proxy::metrics::{Description, Family, Kind, Value};
use ostler_proxy::{AccessRecord, SpanExporter, TraceContext};

use exporter::{Fate, Waiting};
use send::Collector;

/// How long a stop waits for spans to be sent.
const LAST: Duration = Duration::from_secs(5);

pub(crate) static SPANS: Description = Description {
    name: "ostler.traces.spans",
    kind: Kind::Counter,
    unit: "{span}",
    help: "Spans, by what became of them: sent, dropped for want of room, refused or not taken by the collector",
    attributes: &["ostler.result"],
};

/// The spans of a running front.
#[derive(Debug)]
pub(crate) struct Traces(Arc<Waiting<Span>>);

impl Traces {
    /// Starts the thread that sends.
    pub(crate) fn start(config: &TracesConfig) -> anyhow::Result<Arc<Self>> {
        let collector = Collector::new(config).context("Ostler:Traces")?;
        let waiting = Arc::new(Waiting::default());
        exporter::start(Arc::clone(&waiting), collector).context("Ostler:Traces")?;
        Ok(Arc::new(Self(waiting)))
    }

    /// Waits until everything is sent, for a time.
    pub(crate) fn close(&self) {
        self.0.close(LAST);
    }

    /// What became of spans.
    pub(crate) fn family(&self) -> Family {
        let fates = [
            ("sent", Fate::Sent),
            ("dropped", Fate::Dropped),
            ("failed", Fate::Failed),
        ];
        let points = fates.map(|(word, fate)| {
            let count = Value::Count(self.0.count(fate));
            (vec![("ostler.result", word.into())], count)
        });
        Family::new(&SPANS, points)
    }
}

impl SpanExporter for Traces {
    fn export(&self, record: &AccessRecord<'_>, trace: &TraceContext) {
        if self.0.has_room() {
            self.0.push(span::span(record, trace));
        } else {
            self.0.drop_one();
        }
    }
}
