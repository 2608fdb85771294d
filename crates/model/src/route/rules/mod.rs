//! Header and query rules of a route, compiled.

mod header;
mod query;
mod wanted;

pub(crate) use header::HeaderRule;
pub(crate) use query::QueryRule;
use wanted::Wanted;

/// Whether what a request has counts as empty: nothing, or exactly one value with nothing in it
/// (reference A3.4). Two values with nothing in them are not empty.
#[derive(Debug, Default)]
struct Emptiness {
    values: usize,
    has_text: bool,
}

impl Emptiness {
    fn see(&mut self, value: &[u8]) {
        self.values += 1;
        self.has_text |= !value.is_empty();
    }

    fn is_empty(&self) -> bool {
        self.values <= 1 && !self.has_text
    }
}
