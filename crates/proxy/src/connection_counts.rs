//! Counts of the connections of all threads, and the limits on their number.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::limits::FrontLimits;
use crate::metrics::{ConnectionEnd, Refusal, ThreadMetrics};

/// Counts, shared by all threads.
#[derive(Debug, Default)]
pub(crate) struct ConnectionCounts {
    /// Those that are not upgraded.
    open: AtomicUsize,
    upgraded: AtomicUsize,
    /// As many as were open at once since memory was given back last.
    most: AtomicUsize,
    /// By client address, while there is a limit on that; no entry is 0.
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place in the counts, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    connections: Arc<ConnectionCounts>,
    is_open: Cell<bool>,
    address: Option<IpAddr>,
    /// Whether it is to end with the exchange it is in: the front stops, or its endpoint is no more.
    ending: Rc<Cell<bool>>,
    begins: RefCell<Option<Begins>>,
    measured: Option<Measured>,
}

/// A connection that is measured, from its beginning to its end.
#[derive(Debug)]
struct Measured {
    metrics: Rc<ThreadMetrics>,
    since: Instant,
    end: Cell<ConnectionEnd>,
}

/// An upgraded connection's, until it is dropped.
#[derive(Debug)]
pub(crate) struct Upgraded<'c> {
    counted: &'c Counted,
    /// One of its streams only.
    is_stream: bool,
}

/// A connection that has been accepted, until it is served, or over.
#[derive(Debug)]
pub(crate) struct Begins(Rc<Cell<usize>>);

impl Begins {
    /// One more among those that are counted here.
    pub(crate) fn among(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Begins {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl ConnectionCounts {
    /// Those that are not upgraded, and those that are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (count(&self.open), count(&self.upgraded))
    }

    /// Counts a new connection, unless there are as many as may be.
    pub(crate) fn admit(self: &Arc<Self>, limits: &FrontLimits) -> Result<Counted, Refusal> {
        if !add(&self.open, limits.max_concurrent_connections) {
            return Err(Refusal::TooMany);
        }
        Ok(Counted {
            connections: Arc::clone(self),
            is_open: Cell::new(true),
            address: None,
            ending: Rc::default(),
            begins: RefCell::default(),
            measured: None,
        })
    }

    /// Whether most of those are gone that were there since this was true last, and what they had may be
    /// given back to the system. True for one who asks.
    pub(crate) fn have_gone(&self) -> bool {
        /// What fewer have taken is little.
        const MANY: usize = 256;
        let (open, upgraded) = self.counts();
        let (now, most) = (open + upgraded, self.most.load(Ordering::Relaxed));
        if now > most {
            self.most.fetch_max(now, Ordering::Relaxed);
            return false;
        }
        most >= MANY
            && now <= most / 4
            && self
                .most
                .compare_exchange(most, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    /// The connection is about to be served, and to end when `ending` says so.
    pub(crate) fn begin(&mut self, ending: Rc<Cell<bool>>, begins: Begins) {
        self.ending = ending;
        self.begins.replace(Some(begins));
    }

    /// How long it lasts is told here.
    pub(crate) fn measure(&mut self, metrics: &Rc<ThreadMetrics>) {
        self.measured = Some(Measured {
            metrics: Rc::clone(metrics),
            since: crate::clock::now(),
            end: Cell::default(),
        });
    }

    /// It is over because of this.
    pub(crate) fn ends_by(&self, end: ConnectionEnd) {
        if let Some(measured) = &self.measured {
            measured.end.set(end);
        }
    }

    /// It is served from now on.
    pub(crate) fn begun(&self) {
        self.begins.take();
    }

    /// Whether it is to end with the exchange it is in.
    pub(crate) fn ending(&self) -> &Cell<bool> {
        &self.ending
    }

    /// Counts the connection among those of its client, unless there are as many as may be. Said once,
    /// when it is known who the client is.
    pub(crate) fn bind_to(&mut self, client: IpAddr, limits: &FrontLimits) -> Result<(), Refusal> {
        let Some(most) = limits.max_connections_per_address else {
            return Ok(());
        };
        let address = of_one_client(client);
        let mut by_address = self.connections.lock();
        let count = by_address.entry(address).or_default();
        if *count >= most {
            return Err(Refusal::TooManyOfAddress);
        }
        *count += 1;
        drop(by_address);
        self.address = Some(address);
        Ok(())
    }

    /// Counts the connection as an upgraded one instead; `None` when there are as many as may be.
    pub(crate) fn upgrade(&self, most: Option<usize>) -> Option<Upgraded<'_>> {
        if !add(&self.connections.upgraded, most) {
            return None;
        }
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
        self.is_open.set(false);
        Some(Upgraded {
            counted: self,
            is_stream: false,
        })
    }

    /// Counts a stream of the connection among those that are upgraded; the connection stays what it
    /// is.
    pub(crate) fn upgrade_stream(&self, most: Option<usize>) -> Option<Upgraded<'_>> {
        add(&self.connections.upgraded, most).then_some(Upgraded {
            counted: self,
            is_stream: true,
        })
    }
}

impl Drop for Upgraded<'_> {
    /// The connection is an ordinary one again: it was not upgraded after all, or ends.
    fn drop(&mut self) {
        let Counted {
            connections,
            is_open,
            ..
        } = self.counted;
        connections.upgraded.fetch_sub(1, Ordering::Relaxed);
        if self.is_stream {
            return;
        }
        connections.open.fetch_add(1, Ordering::Relaxed);
        is_open.set(true);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(Measured {
            metrics,
            since,
            end,
        }) = &self.measured
        {
            metrics.connection_ended(end.get(), crate::clock::now().duration_since(*since));
        }
        if self.is_open.get() {
            self.connections.open.fetch_sub(1, Ordering::Relaxed);
        }
        let Some(address) = self.address else { return };
        let mut by_address = self.connections.lock();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// Counts one more, if it is not one too many.
fn add(count: &AtomicUsize, most: Option<usize>) -> bool {
    let before = count.fetch_add(1, Ordering::Relaxed);
    let fits = most.is_none_or(|most| before < most);
    if !fits {
        count.fetch_sub(1, Ordering::Relaxed);
    }
    fits
}

/// What one client has: an IPv4 address, or a /64 of IPv6, any address of which is its to choose.
fn of_one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(all: Option<usize>, of_address: Option<usize>) -> FrontLimits {
        FrontLimits {
            max_concurrent_connections: all,
            max_connections_per_address: of_address,
            ..FrontLimits::default()
        }
    }

    fn client(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn as_many_are_let_in_as_may_be() {
        let connections = Arc::new(ConnectionCounts::default());
        let limits = limits(Some(2), None);
        let admit = || connections.admit(&limits);
        let (first, _second) = (admit().unwrap(), admit().unwrap());
        assert_eq!(admit().unwrap_err(), Refusal::TooMany);
        drop(first);
        let _third = admit().unwrap();
        assert_eq!(admit().unwrap_err(), Refusal::TooMany);
    }

    #[test]
    fn an_address_is_an_ipv4_address_or_a_64_of_ipv6() {
        let connections = Arc::new(ConnectionCounts::default());
        let limits = limits(None, Some(1));
        let admit = |text| {
            let mut counted = connections.admit(&limits)?;
            counted.bind_to(client(text), &limits)?;
            Ok::<_, Refusal>(counted)
        };
        let _kept = (
            admit("10.0.0.1").unwrap(),
            admit("10.0.0.2").unwrap(),
            admit("2001:db8:0:1::1").unwrap(),
            admit("2001:db8:0:2::1").unwrap(),
        );
        for text in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8:0:1:ffff::7"] {
            assert_eq!(
                admit(text).unwrap_err(),
                Refusal::TooManyOfAddress,
                "{text}"
            );
        }
        // What is refused leaves nothing behind.
        assert_eq!(connections.open.load(Ordering::Relaxed), 4);
        drop(_kept);
        assert!(connections.lock().is_empty());
        assert_eq!(connections.open.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn that_most_are_gone_is_said_once() {
        let connections = Arc::new(ConnectionCounts::default());
        let limits = limits(None, None);
        let admit = |count: usize| {
            let admitted = (0..count).map(|_| connections.admit(&limits).unwrap());
            admitted.collect::<Vec<_>>()
        };
        assert!(!connections.have_gone());
        for _ in 0..2 {
            let mut many = admit(1000);
            assert!(!connections.have_gone());
            many.truncate(251);
            assert!(!connections.have_gone());
            many.truncate(250);
            assert!(connections.have_gone());
            assert!(!connections.have_gone());
        }
        let few = admit(200);
        assert!(!connections.have_gone());
        drop(few);
        assert!(!connections.have_gone(), "they have had little");
    }

    /// Kestrel: upgraded connections do not count as connections.
    #[test]
    fn an_upgraded_connection_makes_room_for_another() {
        let connections = Arc::new(ConnectionCounts::default());
        let limits = limits(Some(1), None);
        let first = connections.admit(&limits).unwrap();
        let upgraded = first.upgrade(Some(1)).unwrap();
        let second = connections.admit(&limits).unwrap();
        assert!(second.upgrade(Some(1)).is_none());
        drop(upgraded);
        assert!(second.upgrade(Some(0)).is_none());
        assert!(second.upgrade(None).is_some());
        drop((first, second));
        let counts = (&connections.open, &connections.upgraded);
        assert_eq!(counts.0.load(Ordering::Relaxed), 0);
        assert_eq!(counts.1.load(Ordering::Relaxed), 0);
    }
}
