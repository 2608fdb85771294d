//! `MaxConnectionsPerServer`: how many HTTP/1.1 connections all threads together have to an endpoint,
//! and who is next when one ends (reference B10.1 and B16.2).
//!
//! A connection belongs to a thread. One that becomes free is given to a request of its own thread,
//! which costs nothing; every so often it is closed instead, so that requests of other threads, who
//! must open one of their own, get their turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, oneshot};

use super::connection_key::ConnectionKey;

/// How often a pool may pass its connections on to its own while another pool's request waits.
const PASSED_OVER: u32 = 8;

/// The limits of all endpoints, for the pools of all threads.
#[derive(Debug, Default)]
pub(crate) struct ConnectionLimits(Mutex<HashMap<Key, Weak<ConnectionLimit>>>);

/// Cluster, endpoint and number: one that is configured anew counts anew.
type Key = (String, ConnectionKey, u32);

impl ConnectionLimits {
    /// The limit of an endpoint of a cluster.
    pub(super) fn of(
        &self,
        cluster: &str,
        endpoint: &ConnectionKey,
        most: u32,
    ) -> Arc<ConnectionLimit> {
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limits.retain(|_, limit| limit.strong_count() > 0);
        let limit = limits
            .entry((cluster.to_owned(), endpoint.clone(), most))
            .or_default();
        limit.upgrade().unwrap_or_else(|| {
            let made = Arc::new(ConnectionLimit {
                most: usize::try_from(most).unwrap_or(usize::MAX),
                state: Mutex::default(),
            });
            *limit = Arc::downgrade(&made);
            made
        })
    }
}

/// The limit of one endpoint.
#[derive(Debug)]
pub(super) struct ConnectionLimit {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    /// Those who may open a connection when one ends, the longest waiting first.
    waiting: VecDeque<Waiting>,
    /// One for each pool, told when others wait.
    pools: Vec<(PoolId, Arc<Notify>)>,
    next_pool: u64,
    next_ticket: u64,
    passed_over: u32,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    pool: PoolId,
    turn: oneshot::Sender<Permit>,
}

/// One thread's pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PoolId(u64);

/// One wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// A connection's place.
#[derive(Debug)]
pub(super) struct Permit(Arc<ConnectionLimit>);

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open = state.open.saturating_sub(1);
        drop(state);
        self.0.hand_out();
    }
}

/// Whether a connection may be opened.
#[derive(Debug)]
pub(super) enum MayOpen {
    Now(Permit),
    Later(Ticket, oneshot::Receiver<Permit>),
}

impl ConnectionLimit {
    /// A pool that is told by `others_wait` when it should close what it does not use.
    pub(super) fn join(&self, others_wait: Arc<Notify>) -> PoolId {
        let mut state = self.state();
        let id = PoolId(state.next_pool);
        state.next_pool += 1;
        state.pools.push((id, others_wait));
        id
    }

    pub(super) fn leave(&self, id: PoolId) {
        self.state().pools.retain(|(pool, _)| *pool != id);
    }

    /// Asks for a place.
    pub(super) fn ask(self: &Arc<Self>, pool: PoolId) -> MayOpen {
        let mut state = self.state();
        state.waiting.retain(|waiting| !waiting.turn.is_closed());
        if state.open < self.most && state.waiting.is_empty() {
            state.open += 1;
            return MayOpen::Now(Permit(Arc::clone(self)));
        }
        let (turn, receiver) = oneshot::channel();
        let ticket = Ticket(state.next_ticket);
        state.next_ticket += 1;
        state.waiting.push_back(Waiting { ticket, pool, turn });
        for (other, others_wait) in &state.pools {
            if *other != pool {
                others_wait.notify_one();
            }
        }
        MayOpen::Later(ticket, receiver)
    }

    /// The wait is over: its pool had a connection.
    pub(super) fn withdraw(&self, ticket: Ticket) {
        let mut state = self.state();
        let waiting = &mut state.waiting;
        if let Some(at) = waiting.iter().position(|waiting| waiting.ticket == ticket) {
            waiting.remove(at);
        }
    }

    /// Whether anybody waits.
    pub(super) fn is_waited_for(&self) -> bool {
        let state = self.state();
        state
            .waiting
            .iter()
            .any(|waiting| !waiting.turn.is_closed())
    }

    /// Whether a pool should close a connection that its own requests wait for: another's turn has
    /// come.
    pub(super) fn is_another_pools_turn(&self, own: PoolId) -> bool {
        let mut state = self.state();
        let mut waiting = state.waiting.iter();
        let first = waiting.find(|waiting| !waiting.turn.is_closed());
        if first.is_none_or(|first| first.pool == own) {
            state.passed_over = 0;
            return false;
        }
        state.passed_over += 1;
        let is_turn = state.passed_over > PASSED_OVER;
        if is_turn {
            state.passed_over = 0;
        }
        is_turn
    }

    /// Gives free places to those who wait.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let next = self.state().next(self.most);
            let Some(waiting) = next else { return };
            // Should it leave right now, its place comes back here: the lock is free for that.
            let _ = waiting.turn.send(Permit(Arc::clone(self)));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is next, if there is a place, which is then taken.
    fn next(&mut self, most: usize) -> Option<Waiting> {
        while self.open < most {
            let waiting = self.waiting.pop_front()?;
            if !waiting.turn.is_closed() {
                self.open += 1;
                return Some(waiting);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(most: u32) -> Arc<ConnectionLimit> {
        let limits = ConnectionLimits::default();
        let endpoint = ConnectionKey {
            socket: None,
            is_https: false,
            host: "d".to_owned(),
            port: 80,
            server_name: String::new(),
        };
        let limit = limits.of("c", &endpoint, most);
        assert!(Arc::ptr_eq(&limit, &limits.of("c", &endpoint, most)));
        assert!(!Arc::ptr_eq(&limit, &limits.of("b", &endpoint, most)));
        limit
    }

    fn now(asked: MayOpen) -> Permit {
        match asked {
            MayOpen::Now(permit) => permit,
            MayOpen::Later(..) => panic!("there is no place"),
        }
    }

    fn later(asked: MayOpen) -> oneshot::Receiver<Permit> {
        match asked {
            MayOpen::Later(_, turn) => turn,
            MayOpen::Now(_) => panic!("there is a place"),
        }
    }

    #[test]
    fn places_are_given_in_the_order_they_were_asked_for() {
        let limit = limit(2);
        let pool = limit.join(Arc::default());
        let first = now(limit.ask(pool));
        let _second = now(limit.ask(pool));
        let mut third = later(limit.ask(pool));
        let mut fourth = later(limit.ask(pool));
        drop(first);
        let third = third.try_recv().unwrap();
        assert!(fourth.try_recv().is_err());
        drop(third);
        assert!(fourth.try_recv().is_ok());
    }

    #[test]
    fn who_has_left_takes_no_place() {
        let limit = limit(1);
        let pool = limit.join(Arc::default());
        let only = now(limit.ask(pool));
        drop(later(limit.ask(pool)));
        let mut next = later(limit.ask(pool));
        assert!(limit.is_waited_for());
        drop(only);
        let permit = next.try_recv().unwrap();
        assert!(!limit.is_waited_for());
        drop(permit);
        let _again = now(limit.ask(pool));
    }

    #[test]
    fn a_place_given_to_somebody_who_leaves_before_taking_it_goes_on() {
        let limit = limit(1);
        let pool = limit.join(Arc::default());
        let only = now(limit.ask(pool));
        let gone = later(limit.ask(pool));
        let mut next = later(limit.ask(pool));
        drop(only);
        assert!(next.try_recv().is_err());
        drop(gone);
        assert!(next.try_recv().is_ok());
    }

    #[test]
    fn other_pools_are_told_and_get_their_turn() {
        let limit = limit(1);
        let (told, told_other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let pool = limit.join(Arc::clone(&told));
        let other = limit.join(Arc::clone(&told_other));
        let _only = now(limit.ask(pool));
        let _first = later(limit.ask(other));
        let _own = later(limit.ask(pool));
        let mut turns = 0;
        for _ in 0..3 * (PASSED_OVER + 1) {
            turns += u32::from(limit.is_another_pools_turn(pool));
        }
        assert_eq!(turns, 3);
        assert!(!limit.is_another_pools_turn(other));
    }
}
