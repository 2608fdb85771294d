//! The least that a client must send of a body and take of a response, judged once a second by the
//! kernel's own counters of its connection: whoever reads and writes, the front or a target.
//!
//! A client is waited for in two ways:
//!
//! - its body: somebody wants to read, and nothing has arrived that is not read;
//! - its taking of the response: bytes are given to the socket that it has not acknowledged, or, over
//!   HTTP/2, bytes are there for which its windows have no room.
//!
//! While neither is so, the server is the slow one, and nothing is judged.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ostler_config::DataRate;

use crate::client_socket::ClientSocket;
use crate::limits::FrontLimits;

/// How far a client may be ahead of the rate: what it sent or took early counts for it later.
/// Kestrel's `MaxResponseBufferSize`, and about what a window opens by at a time.
const CREDIT: f64 = 64.0 * 1024.0;

/// How slow a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooSlow {
    /// Its body does not come.
    Body,
    /// It does not take the response.
    Response,
}

/// A connection's rates. While it is in no exchange they cost nothing, and in one that is over
/// within a second two stores.
#[derive(Debug)]
pub(crate) struct DataRates {
    socket: Rc<OwnedFd>,
    /// Counts the connection's exchanges; 0 while it is in none.
    exchange: Cell<u32>,
    exchanges: Cell<u32>,
    /// The front itself waits for bytes of the body.
    awaits_body: Cell<bool>,
    /// The exchange is not subject: see [`switch_off`](Self::switch_off).
    off: Cell<bool>,
    body_is_slow: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    windows: Windows,
    judged: RefCell<Judged>,
}

/// What an HTTP/2 client's windows have let through, all streams together.
#[derive(Debug, Default)]
struct Windows {
    /// Streams whose responses wait for room.
    waiting: Cell<usize>,
    passed: Cell<u64>,
}

/// A response that waits for room in the client's windows, until it is dropped.
#[derive(Debug)]
pub(crate) struct AwaitsWindow<'r>(&'r Windows);

impl Drop for AwaitsWindow<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get().saturating_sub(1));
    }
}

/// What is remembered of the exchange that was seen last.
#[derive(Debug, Default)]
struct Judged {
    exchange: u32,
    /// Found once, it is being ended.
    is_found: bool,
    body: Option<Meter>,
    response: Option<Meter>,
    windows: Option<Meter>,
    /// When the body last moved, while it is waited for.
    moved: Option<(Instant, u64)>,
}

impl DataRates {
    pub(crate) fn new(socket: Rc<OwnedFd>) -> Self {
        Self {
            socket,
            exchange: Cell::new(0),
            exchanges: Cell::new(0),
            awaits_body: Cell::new(false),
            off: Cell::new(false),
            body_is_slow: Cell::new(false),
            reader: RefCell::default(),
            windows: Windows::default(),
            judged: RefCell::default(),
        }
    }

    /// The connection's socket.
    pub(crate) fn socket(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.socket)
    }

    /// A response has bytes for which the client's windows have no room.
    pub(crate) fn awaits_window(&self) -> AwaitsWindow<'_> {
        let waiting = &self.windows.waiting;
        waiting.set(waiting.get() + 1);
        AwaitsWindow(&self.windows)
    }

    /// The client's windows have let bytes through.
    pub(crate) fn window_passed(&self, bytes: usize) {
        let passed = &self.windows.passed;
        passed.set(passed.get() + bytes as u64);
    }

    /// An exchange begins.
    pub(crate) fn begin(&self) {
        let number = self.exchanges.get().wrapping_add(1).max(1);
        self.exchanges.set(number);
        self.exchange.set(number);
    }

    /// It is over.
    pub(crate) fn end(&self) {
        self.exchange.set(0);
        self.off.set(false);
        self.body_is_slow.set(false);
    }

    /// Has the exchange under way not judged: its two sides may be silent for as long as they like
    /// (Kestrel's `MinRequestBodyDataRate = null` of one request, which gRPC asks for).
    pub(crate) fn switch_off(&self) {
        self.off.set(true);
    }

    /// Reads bytes of the body for the front; `None` when the client is too slow.
    pub(crate) async fn recv(
        &self,
        client: &ClientSocket,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Option<io::Result<usize>> {
        /// The upload may be given up while it waits.
        struct Waits<'r>(&'r DataRates);
        impl Drop for Waits<'_> {
            fn drop(&mut self) {
                self.0.awaits_body.set(false);
            }
        }
        let _waits = Waits(self);
        std::future::poll_fn(|cx| {
            if self.body_is_slow.get() {
                return Poll::Ready(None);
            }
            match client.poll_recv(cx, out, max) {
                Poll::Ready(received) => Poll::Ready(Some(received)),
                Poll::Pending => {
                    self.awaits_body.set(true);
                    self.remember(cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn remember(&self, cx: &Context<'_>) {
        let mut reader = self.reader.borrow_mut();
        if !reader
            .as_ref()
            .is_some_and(|reader| reader.will_wake(cx.waker()))
        {
            *reader = Some(cx.waker().clone());
        }
    }

    /// Whether the front itself reads the body.
    pub(crate) fn front_awaits_body(&self) -> bool {
        self.awaits_body.get()
    }

    /// Ends the front's own reading of the body.
    pub(crate) fn give_body_up(&self) {
        self.body_is_slow.set(true);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Resets the connection, for every process that holds it: what it has not taken is dropped.
    pub(crate) fn reset(&self) {
        let _ = rustix::net::connect_unspec(self.socket.as_fd());
    }

    /// Judges the exchange under way, if it has been for a while. It is found too slow once.
    pub(crate) fn judge(
        &self,
        now: Instant,
        limits: &FrontLimits,
        target_awaits_body: bool,
    ) -> Option<TooSlow> {
        let exchange = self.exchange.get();
        if exchange == 0 || self.off.get() {
            return None;
        }
        let mut judged = self.judged.borrow_mut();
        if judged.exchange != exchange {
            *judged = Judged {
                exchange,
                ..Judged::default()
            };
            return None;
        }
        if judged.is_found {
            return None;
        }
        let awaits_body = self.awaits_body.get() || target_awaits_body;
        let socket = self.socket.as_fd();
        let found = judged.judge(now, limits, awaits_body, &self.windows, socket);
        judged.is_found = found.is_some();
        found
    }
}

impl Judged {
    fn judge(
        &mut self,
        now: Instant,
        limits: &FrontLimits,
        awaits_body: bool,
        windows: &Windows,
        socket: BorrowedFd<'_>,
    ) -> Option<TooSlow> {
        let FrontLimits {
            min_request_body_data_rate: body_rate,
            min_response_data_rate: response_rate,
            entity_body_timeout,
            ..
        } = limits;
        let judges_body = body_rate.is_some() || entity_body_timeout.is_some();
        let awaits_body = judges_body && awaits_body;
        if !awaits_body && response_rate.is_none() {
            self.forget_body();
            return None;
        }
        // A socket that cannot be asked breaks by itself.
        let progress = ostler_shm::tcp_progress(socket).ok()?;
        let acked = progress.bytes_acked;
        let is_late = is_late(
            &mut self.response,
            progress.is_unsent,
            now,
            acked,
            response_rate,
        );
        // While the socket holds bytes it is the socket that shows the client's pace: room for more is
        // made in large steps.
        let starves = windows.waiting.get() > 0 && !progress.is_unsent;
        let passed = windows.passed.get();
        if is_late || self::is_late(&mut self.windows, starves, now, passed, response_rate) {
            return Some(TooSlow::Response);
        }
        let unread = awaits_body.then(|| ostler_shm::unread_bytes(socket));
        if !matches!(unread, Some(Ok(0))) {
            self.forget_body();
            return None;
        }
        let received = progress.bytes_received;
        let since = match self.moved {
            Some((since, count)) if count == received => since,
            _ => self.moved.insert((now, received)).0,
        };
        if entity_body_timeout
            .is_some_and(|timeout| now.saturating_duration_since(since) >= timeout)
        {
            return Some(TooSlow::Body);
        }
        let rate = body_rate.as_ref()?;
        let meter = self.body.get_or_insert_with(|| Meter::new(now));
        meter
            .is_behind(now, received, rate)
            .then_some(TooSlow::Body)
    }

    fn forget_body(&mut self) {
        (self.body, self.moved) = (None, None);
    }
}

/// Whether a client that is waited for, if it is, is behind.
fn is_late(
    meter: &mut Option<Meter>,
    is_awaited: bool,
    now: Instant,
    count: u64,
    rate: &Option<DataRate>,
) -> bool {
    match rate {
        Some(rate) if is_awaited => {
            let meter = meter.get_or_insert_with(|| Meter::new(now));
            meter.is_behind(now, count, rate)
        }
        _ => {
            *meter = None;
            false
        }
    }
}

/// What a client owes while it is waited for without a break.
#[derive(Debug)]
struct Meter {
    at: Instant,
    /// The kernel's count then; 0 before the first look, so that what came before it is a credit.
    count: u64,
    /// Bytes ahead of the rate, or behind it; <= `CREDIT`.
    balance: f64,
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self {
            at: now,
            count: 0,
            balance: 0.0,
        }
    }

    /// Whether the client is behind by more than it may be: by what it owes for the time of grace.
    fn is_behind(&mut self, now: Instant, count: u64, rate: &DataRate) -> bool {
        let moved = count.saturating_sub(self.count);
        let passed = now.saturating_duration_since(self.at);
        let owed = |time: Duration| rate.bytes_per_second as f64 * time.as_secs_f64();
        self.balance = (self.balance + moved as f64 - owed(passed)).min(CREDIT);
        (self.at, self.count) = (now, count);
        self.balance < -owed(rate.grace_period)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const RATE: DataRate = DataRate {
        bytes_per_second: 240,
        grace_period: Duration::from_secs(5),
    };

    /// The second in which a client is found that has come so far each second.
    fn found(counts: impl IntoIterator<Item = u64>) -> Option<usize> {
        let start = crate::clock::now();
        let mut meter = Meter::new(start);
        let mut counts = counts.into_iter().enumerate();
        counts
            .find(|(second, count)| {
                meter.is_behind(start + Duration::from_secs(*second as u64), *count, &RATE)
            })
            .map(|(second, _)| second)
    }

    #[test]
    fn a_client_that_does_nothing_has_the_time_of_grace() {
        assert_eq!(found(std::iter::repeat_n(7, 100)), Some(6));
    }

    #[test]
    fn one_at_the_rate_is_never_found_and_one_at_half_of_it_later() {
        assert_eq!(found((0..10_000).map(|second| second * 240)), None);
        assert_eq!(found((0..100).map(|second| second * 120)), Some(11));
    }

    /// A window opens by a segment, and loopback's are 64 KiB.
    #[test]
    fn one_that_takes_a_segment_at_a_time_is_not_found() {
        let lumps = (0..10_000).map(|second| second * 250 / 65_483 * 65_483);
        assert_eq!(found(lumps.skip(262)), None);
    }

    #[test]
    fn what_was_taken_early_counts_later_and_not_for_ever() {
        let burst = std::iter::once(0).chain(std::iter::repeat_n(1 << 30, 10_000));
        let credit = 64 * 1024 / 240;
        let second = found(burst).unwrap();
        assert!((credit..credit + 8).contains(&second), "{second}");
    }

    struct Connected {
        _client: TcpStream,
        _server: TcpStream,
        rates: DataRates,
    }

    fn connected() -> Connected {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let socket = Rc::new(server.try_clone().unwrap().into());
        Connected {
            _client: client,
            _server: server,
            rates: DataRates::new(socket),
        }
    }

    /// The second in which an exchange is found whose client does nothing at all.
    fn judged(
        limits: &FrontLimits,
        target_awaits: bool,
        prepare: impl Fn(&DataRates),
    ) -> Option<u64> {
        let connected = connected();
        prepare(&connected.rates);
        let start = crate::clock::now();
        (0..200).find(|second| {
            let now = start + Duration::from_secs(*second);
            connected.rates.judge(now, limits, target_awaits) == Some(TooSlow::Body)
        })
    }

    #[test]
    fn only_a_body_that_is_waited_for_is_judged() {
        let limits = FrontLimits::default();
        assert_eq!(judged(&limits, true, DataRates::begin), Some(7));
        assert_eq!(judged(&limits, false, DataRates::begin), None);
        assert_eq!(judged(&limits, true, |_| {}), None, "in no exchange");
        let off = |rates: &DataRates| {
            rates.begin();
            rates.off.set(true);
        };
        assert_eq!(judged(&limits, true, off), None, "switched off");
        let none = FrontLimits {
            min_request_body_data_rate: None,
            ..limits.clone()
        };
        assert_eq!(judged(&none, true, DataRates::begin), None);
        let silence = FrontLimits {
            entity_body_timeout: Some(Duration::from_secs(20)),
            ..none
        };
        assert_eq!(judged(&silence, true, DataRates::begin), Some(21));
    }
}
