//! What a connection's exchanges have been like, for who grants leases.

use std::rc::Rc;
use std::sync::Arc;

use ostler_model::RouteModel;

use super::channel::{Channel, PlaceKey};

/// What a connection's exchanges have been like, for who is to say whether a lease is worth it.
#[derive(Debug, Default)]
pub(crate) struct LeaseHistory {
    /// Where the last exchange went, and by which route.
    last: Option<(PlaceKey, usize)>,
    /// Exchanges that go by before the next lease.
    pause: u32,
    /// The pause after a lease that came to nothing.
    next_pause: u32,
}

impl LeaseHistory {
    /// Another exchange goes to this target, by this route: whether it is one of many.
    pub(crate) fn asks(&mut self, channel: &Rc<Channel>, route: &Arc<RouteModel>) -> bool {
        let here = (PlaceKey::of(channel), Arc::as_ptr(route) as usize);
        let is_again = self.last.replace(here) == Some(here);
        if !is_again {
            return false;
        }
        let pause = self.pause;
        self.pause = pause.saturating_sub(1);
        pause == 0
    }

    /// A lease is over, under which so many exchanges went by the front.
    pub(crate) fn lease_is_over(&mut self, exchanges: u32) {
        /// Fewer do not make up for what granting it has cost.
        const WORTH_IT: u32 = 4;
        const LONGEST: u32 = 256;
        self.next_pause = match exchanges {
            WORTH_IT.. => 0,
            _ => (self.next_pause * 2).clamp(2, LONGEST),
        };
        self.pause = self.next_pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_that_come_to_nothing_come_seldom() {
        let mut history = LeaseHistory::default();
        let pauses = [0, 3, 1, 0].map(|exchanges| {
            history.lease_is_over(exchanges);
            history.pause
        });
        assert_eq!(pauses, [2, 4, 8, 16]);
        history.lease_is_over(4);
        assert_eq!(history.pause, 0);
        for _ in 0..20 {
            history.lease_is_over(0);
        }
        assert_eq!(history.pause, 256);
    }
}
