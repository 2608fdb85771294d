//! Interim responses on their way from a destination to whoever waits for the final one.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;

use http::{HeaderMap, Response, StatusCode};

/// How many are kept until they are taken; a destination may send any number.
const MOST: usize = 16;

/// Interim responses that have arrived, in order. One serves all exchanges of a client's connection.
///
/// They arrive while the response is waited for, and only then, so that looking after each poll that
/// gave none finds them: nobody needs to be woken.
#[derive(Debug, Default)]
pub(crate) struct Interim(RefCell<Arrived>);

#[derive(Debug, Default)]
struct Arrived {
    responses: VecDeque<Response<()>>,
    /// The destination wants the body that the client holds back.
    continues: bool,
}

impl Interim {
    /// The next one to pass on.
    pub(crate) fn take(&self) -> Option<Response<()>> {
        self.arrived().responses.pop_front()
    }

    /// Whether the destination has said 100 (Continue).
    pub(crate) fn continues(&self) -> bool {
        self.arrived().continues
    }

    /// An exchange begins: what an earlier one has left is not its own.
    pub(crate) fn clear(&self) {
        *self.arrived() = Arrived::default();
    }

    /// 100 is between two neighbours and 101 is no interim response (RFC 9110 section 15.2).
    pub(crate) fn arrive(&self, status: StatusCode, fields: &HeaderMap) {
        let mut arrived = self.arrived();
        match status {
            StatusCode::CONTINUE => arrived.continues = true,
            StatusCode::SWITCHING_PROTOCOLS => {}
            _ if arrived.responses.len() < MOST => {
                let mut response = Response::new(());
                *response.status_mut() = status;
                *response.headers_mut() = fields.clone();
                arrived.responses.push_back(response);
            }
            _ => {}
        }
    }

    fn arrived(&self) -> RefMut<'_, Arrived> {
        self.0.borrow_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_between_neighbours_are_not_passed_on_and_a_flood_is_cut_off() {
        let interim = Interim::default();
        let fields = HeaderMap::new();
        for status in [100, 101, 102, 103] {
            interim.arrive(StatusCode::from_u16(status).unwrap(), &fields);
        }
        let taken = std::iter::from_fn(|| interim.take());
        let taken: Vec<_> = taken.map(|response| response.status().as_u16()).collect();
        assert_eq!(taken, [102, 103]);
        assert!(interim.continues());
        for _ in 0..1000 {
            interim.arrive(StatusCode::EARLY_HINTS, &fields);
        }
        assert_eq!(std::iter::from_fn(|| interim.take()).count(), MOST);
    }
}
