//! What a health check thinks of a destination.

use std::sync::atomic::{AtomicU8, Ordering};

/// The opinion of one kind of health check (reference A7.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DestinationHealth {
    /// Nothing is known yet, or what was known has expired.
    #[default]
    Unknown,
    /// Requests succeed.
    Healthy,
    /// Requests fail; the destination is left out while the kind of check is enabled.
    Unhealthy,
}

/// A [`DestinationHealth`] that threads share.
#[derive(Debug, Default)]
pub(super) struct AtomicHealth(AtomicU8);

impl AtomicHealth {
    /// The current value. Relaxed: health is an opinion, and nothing else is published with it.
    pub(super) fn load(&self) -> DestinationHealth {
        decode(self.0.load(Ordering::Relaxed))
    }

    /// Replaces the value and gives the one before.
    pub(super) fn swap(&self, health: DestinationHealth) -> DestinationHealth {
        decode(self.0.swap(health as u8, Ordering::Relaxed))
    }
}

fn decode(byte: u8) -> DestinationHealth {
    match byte {
        1 => DestinationHealth::Healthy,
        2 => DestinationHealth::Unhealthy,
        _ => DestinationHealth::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_each_value_and_begins_unknown() {
        let health = AtomicHealth::default();
        assert_eq!(health.load(), DestinationHealth::Unknown);
        assert_eq!(
            health.swap(DestinationHealth::Healthy),
            DestinationHealth::Unknown
        );
        assert_eq!(
            health.swap(DestinationHealth::Unhealthy),
            DestinationHealth::Healthy
        );
        assert_eq!(
            health.swap(DestinationHealth::Unknown),
            DestinationHealth::Unhealthy
        );
        assert_eq!(health.load(), DestinationHealth::Unknown);
    }
}
