//! One partition: its permits, and the requests that wait for one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use ostler_config::schema::{LimiterConfig, QueueProcessingOrder};

use super::permits::Permits;

/// What came of asking for a permit.
#[derive(Debug)]
pub enum Acquired {
    /// Here it is.
    Permit(Permit),
    /// There is none, and the request may wait.
    Waiting(Waiting),
    /// There is none.
    Rejected(Rejected),
}

/// Leave to go on; where permits are given back, dropping it does so.
#[derive(Debug)]
pub struct Permit {
    from: Option<Arc<Partition>>,
}

/// There is no permit, and no room to wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// When asking again may be worth while, where time alone brings permits back.
    pub retry_after: Option<Duration>,
}

/// A place in the queue, left when it is dropped.
#[derive(Debug)]
pub struct Waiting {
    partition: Arc<Partition>,
    ticket: u64,
    over: bool,
}

/// The permits of those requests that are counted together.
#[derive(Debug)]
pub(super) struct Partition {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    permits: Permits,
    /// In the order they came, so by ticket.
    queue: VecDeque<Waiter>,
    /// `queue.len() <= queue_limit`
    queue_limit: usize,
    order: QueueProcessingOrder,
    next_ticket: u64,
    /// What became of those who have left the queue and do not know it yet: whether they have a
    /// permit.
    told: HashMap<u64, bool>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    waker: Option<Waker>,
}

impl Partition {
    pub(super) fn new(config: &LimiterConfig) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                permits: Permits::new(&config.algorithm),
                queue: VecDeque::new(),
                queue_limit: config.queue_limit as usize,
                order: config.queue_processing_order,
                next_ticket: 0,
                told: HashMap::new(),
            }),
        })
    }

    /// Asks for a permit.
    pub(super) fn acquire(self: &Arc<Self>, now: Duration) -> Acquired {
        let mut state = self.lock();
        let mut wakers = state.serve(now);
        let newest_first = state.order == QueueProcessingOrder::NewestFirst;
        let acquired = if (state.queue.is_empty() || newest_first) && state.permits.take() {
            let from = state.permits.are_given_back().then(|| Arc::clone(self));
            Acquired::Permit(Permit { from })
        } else {
            if newest_first && state.queue_limit > 0 && state.queue.len() == state.queue_limit {
                // As in .NET: the oldest makes room.
                if let Some(oldest) = state.queue.pop_front() {
                    state.told.insert(oldest.ticket, false);
                    wakers.extend(oldest.waker);
                }
            }
            if state.queue.len() < state.queue_limit {
                let ticket = state.next_ticket;
                state.next_ticket += 1;
                let waker = None;
                state.queue.push_back(Waiter { ticket, waker });
                Acquired::Waiting(Waiting {
                    partition: Arc::clone(self),
                    ticket,
                    over: false,
                })
            } else {
                Acquired::Rejected(state.rejected(now))
            }
        };
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        acquired
    }

    /// Whether it can be forgotten: nobody waits, and it remembers nothing.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        let mut state = self.lock();
        state.permits.advance(now);
        state.permits.is_full() && state.queue.is_empty() && state.told.is_empty()
    }

    fn give_back(&self) {
        let mut state = self.lock();
        state.permits.give_back();
        let wakers = state.grant();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives what has come back by now to those who wait.
    fn serve(&mut self, now: Duration) -> Vec<Waker> {
        self.permits.advance(now);
        self.grant()
    }

    /// Gives permits to those who wait. They are woken by the caller, without the lock.
    fn grant(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while !self.queue.is_empty() && self.permits.take() {
            let next = match self.order {
                QueueProcessingOrder::OldestFirst => self.queue.pop_front(),
                QueueProcessingOrder::NewestFirst => self.queue.pop_back(),
            };
            if let Some(waiter) = next {
                self.told.insert(waiter.ticket, true);
                wakers.extend(waiter.waker);
            }
        }
        wakers
    }

    fn rejected(&self, now: Duration) -> Rejected {
        Rejected {
            retry_after: self.permits.replenished_in(now),
        }
    }

    fn place_of(&self, ticket: u64) -> Option<usize> {
        let by_ticket = self
            .queue
            .binary_search_by_key(&ticket, |waiter| waiter.ticket);
        by_ticket.ok()
    }
}

impl Waiting {
    /// Ready once there is a permit, or somebody newer has taken the place in the queue. To be
    /// called when woken, and when [`replenished_in`](Self::replenished_in) has passed.
    pub fn poll(&mut self, now: Duration, waker: &Waker) -> Poll<Result<Permit, Rejected>> {
        let mut state = self.partition.lock();
        let wakers = state.serve(now);
        let told = state.told.remove(&self.ticket);
        let polled = match told {
            Some(granted) => {
                self.over = true;
                Poll::Ready(match granted {
                    true => {
                        let given_back = state.permits.are_given_back();
                        let from = given_back.then(|| Arc::clone(&self.partition));
                        Ok(Permit { from })
                    }
                    false => Err(state.rejected(now)),
                })
            }
            None => {
                if let Some(at) = state.place_of(self.ticket) {
                    state.queue[at].waker = Some(waker.clone());
                }
                Poll::Pending
            }
        };
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        polled
    }

    /// How long until time brings permits back; `None` when it brings none.
    pub fn replenished_in(&self, now: Duration) -> Option<Duration> {
        self.partition.lock().permits.replenished_in(now)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut state = self.partition.lock();
        if let Some(at) = state.place_of(self.ticket) {
            state.queue.remove(at);
        }
        let mut wakers = Vec::new();
        if state.told.remove(&self.ticket) == Some(true) {
            // A permit that nobody fetched goes on to the next.
            state.permits.give_back();
            wakers = state.grant();
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Permit {
    /// Whether dropping it makes room for another request.
    pub fn is_given_back(&self) -> bool {
        self.from.is_some()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(partition) = &self.from {
            partition.give_back();
        }
    }
}
