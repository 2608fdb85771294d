//! The program's metrics: those of its front and its own, gathered from where they are counted whenever
//! somebody asks for them.

pub(crate) mod process;
mod prometheus;
pub(crate) mod reloads;

use std::sync::Arc;

use ostler_proxy::FrontMetrics;
use ostler_proxy::metrics::Family;

pub(crate) use prometheus::{TextFormat, text};
use reloads::Reloads;

use crate::access_log::AccessLogFile;
use crate::traces::Traces;

/// Where metrics come from.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    pub(crate) front: FrontMetrics,
    pub(crate) reloads: Arc<Reloads>,
    pub(crate) access_log: Option<Arc<AccessLogFile>>,
    pub(crate) traces: Option<Arc<Traces>>,
}

impl Registry {
    /// All metrics, as they are now.
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families = self.front.families();
        families.push(self.reloads.family());
        families.extend(self.access_log.iter().map(|log| log.dropped()));
        families.extend(self.traces.iter().map(|traces| traces.family()));
        families.extend(process::families());
        families
    }
}

#[cfg(test)]
mod tests {
    use ostler_proxy::metrics::{Description, Kind};

    use super::*;
    use crate::{access_log, traces};

    /// Every metric that there may be.
    fn descriptions() -> Vec<&'static Description> {
        let own = [&reloads::RELOADS, &access_log::DROPPED, &traces::SPANS];
        let front = FrontMetrics::descriptions().iter();
        front.copied().chain(own).chain(process::ALL).collect()
    }

    fn row(description: &Description) -> String {
        let Description {
            name,
            kind,
            unit,
            help,
            attributes,
        } = description;
        let suffix = match *unit {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        };
        let (kind, total) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Histogram => ("histogram", ""),
        };
        let prometheus = name.replace('.', "_");
        let attributes: Vec<_> = attributes.iter().map(|name| format!("`{name}`")).collect();
        let attributes = attributes.join(", ");
        format!(
            "| `{name}` | `{prometheus}{suffix}{total}` | {kind} | `{unit}` | {attributes} | {help} |"
        )
    }

    /// The page lists what there is, and nothing else. `OSTLER_WRITE_DOCS` has it written.
    #[test]
    fn the_page_has_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let page = std::fs::read_to_string(path).unwrap();
        let head = "|---|---|---|---|---|---|\n";
        let (before, behind) = page.split_once(head).unwrap();
        let (_, behind) = behind.split_at(behind.find("\nA point lacks").unwrap());
        let mut rows: Vec<_> = descriptions().into_iter().map(row).collect();
        rows.sort();
        let expected = format!("{before}{head}{}\n{behind}", rows.join("\n"));
        if std::env::var_os("OSTLER_WRITE_DOCS").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        assert!(page == expected, "run this test with OSTLER_WRITE_DOCS=1");
    }
}
