//! `MinRequestBodyDataRate` and `MinResponseDataRate`: the least that a client must send or take.

use std::time::Duration;

use crate::keys;
use crate::leaf::TimeSpan;
use crate::reader::Reader;

/// The least bytes a second, once a time of grace is over (Kestrel's `MinDataRate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRate {
    /// `BytesPerSecond`: 240. A fraction is rounded up.
    pub bytes_per_second: u64,
    /// `GracePeriod`: 5 seconds. Kestrel wants more than a second; here anything positive is taken.
    pub grace_period: Duration,
}

impl Default for DataRate {
    fn default() -> Self {
        Self {
            bytes_per_second: 240,
            grace_period: Duration::from_secs(5),
        }
    }
}

/// Reads an object with both, either of which has its default; null, or an object with nothing in
/// it, is no rate at all.
pub(super) fn read(reader: &mut Reader<'_, '_>, key: &'static str) -> Option<DataRate> {
    let section = reader.child(key);
    if section.is_null() {
        return None;
    }
    let defaults = DataRate::default();
    let mut reader = Reader::new(section, &keys::DATA_RATE, reader.diagnostics);
    let bytes_per_second = reader.parsed("BytesPerSecond", bytes);
    let grace_period = reader.parsed("GracePeriod", |text| {
        let span = TimeSpan::parse(text)?;
        span.positive()
            .ok_or_else(|| format!("{text:?} is not positive"))
    });
    reader.finish();
    Some(DataRate {
        bytes_per_second: bytes_per_second.unwrap_or(defaults.bytes_per_second),
        grace_period: grace_period.unwrap_or(defaults.grace_period),
    })
}

fn bytes(text: &str) -> Result<u64, String> {
    const MOST: f64 = u32::MAX as f64;
    match text.trim().parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= MOST => Ok(rate.ceil() as u64),
        _ => Err(format!(
            "{text:?} is not a number above 0 and up to {MOST}; null is no rate"
        )),
    }
}
