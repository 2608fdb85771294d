//! How often the configuration was read again, and what became of it.

use std::sync::atomic::{AtomicU64, Ordering};

use ostler_proxy::metrics::{Description, Family, Kind, Value};

pub(crate) static RELOADS: Description = Description {
    name: "ostler.configuration.reloads",
    kind: Kind::Counter,
    unit: "{reload}",
    help: "Times that the configuration was read again, by what became of it: applied, unchanged, refused",
    attributes: &["ostler.result"],
};

/// What became of a configuration that was read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reloaded {
    /// It is in force.
    Applied,
    /// It says what it said.
    Unchanged,
    /// It has mistakes, and the one of before is in force.
    Refused,
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Reloads([AtomicU64; 3]);

impl Reloads {
    pub(crate) fn count(&self, reloaded: Reloaded) {
        self.0[reloaded as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn family(&self) -> Family {
        let names = ["applied", "unchanged", "refused"].into_iter();
        let points = names.zip(&self.0).map(|(name, count)| {
            let count = count.load(Ordering::Relaxed);
            (vec![("ostler.result", name.into())], Value::Count(count))
        });
        Family::new(&RELOADS, points)
    }
}
