//! Requests of one thread that wait for an instance, in the order they came.
//!
//! Whatever makes room calls the first of the line. It tries; if it is taken it leaves, which calls
//! the next, so that room for several is filled by several and room for one wakes one. Who comes anew
//! while others wait stands behind them.
//!
//! Requests that need different things stand in lines of their own: one that waits for an instance of
//! its URL prefix does not hold up those of another, and one that is no hand-over needs no room for a
//! client's socket.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ostler_delegation::UrlPrefix;

use crate::queues::registry::QueueShared;

/// What a request waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// An instance that has registered it.
    pub(crate) url_prefix: UrlPrefix,
    /// Room for its client's socket at the instance.
    pub(crate) room: bool,
}

/// The lines of a queue.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: RefCell<Vec<(Need, VecDeque<Rc<Place>>)>>,
    shared: Arc<QueueShared>,
}

/// A request's place in its line.
#[derive(Debug, Default)]
struct Place {
    called: Cell<bool>,
    silent: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Place {
    fn call(&self) {
        if !self.called.replace(true)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

/// Who waits has one of these; dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct Ticket {
    lines: Rc<Lines>,
    need: Need,
    place: Rc<Place>,
}

impl Lines {
    pub(super) fn new(shared: Arc<QueueShared>) -> Rc<Self> {
        Rc::new(Self {
            lines: RefCell::default(),
            shared,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.borrow().is_empty()
    }

    /// Whether somebody waits for the same.
    pub(crate) fn has(&self, need: &Need) -> bool {
        self.lines.borrow().iter().any(|(known, _)| known == need)
    }

    /// Joins the line behind those who are there.
    pub(crate) fn join(self: &Rc<Self>, need: Need) -> Ticket {
        let place = Rc::new(Place::default());
        let mut lines = self.lines.borrow_mut();
        match lines.iter_mut().find(|(known, _)| *known == need) {
            Some((_, line)) => line.push_back(Rc::clone(&place)),
            None => lines.push((need.clone(), VecDeque::from([Rc::clone(&place)]))),
        }
        drop(lines);
        self.shared.add_waiting();
        Ticket {
            lines: Rc::clone(self),
            need,
            place,
        }
    }

    /// There may be room: the first of each line tries.
    pub(super) fn call(&self) {
        for (_, line) in &*self.lines.borrow() {
            if let Some(first) = line.front() {
                first.call();
            }
        }
    }

    fn leave(&self, need: &Need, place: &Rc<Place>) {
        let mut lines = self.lines.borrow_mut();
        let Some(at) = lines.iter().position(|(known, _)| known == need) else {
            return;
        };
        let line = &mut lines[at].1;
        let Some(behind) = line.iter().position(|one| Rc::ptr_eq(one, place)) else {
            return;
        };
        line.remove(behind);
        match line.front() {
            None => drop(lines.swap_remove(at)),
            // There may be room for more than the one that left.
            Some(next) if behind == 0 => next.call(),
            Some(_) => {}
        }
    }
}

impl Ticket {
    /// Ready when it is this request's turn to try. One that has tried in vain waits again.
    pub(crate) fn poll_called(&self, cx: &Context<'_>) -> Poll<()> {
        if self.place.called.take() {
            return Poll::Ready(());
        }
        let mut waker = self.place.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The client has ended its stream: it may have gone away, so it no longer counts against
    /// `limit`. False when too many such wait, so that this one is not to.
    pub(crate) fn fall_silent(&self, limit: usize) -> bool {
        if self.place.silent.get() {
            return true;
        }
        let stays = self.lines.shared.fall_silent(limit);
        self.place.silent.set(stays);
        stays
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match self.place.silent.get() {
            true => self.lines.shared.remove_silent(),
            false => self.lines.shared.remove_waiting(),
        }
        self.lines.leave(&self.need, &self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(prefix: &str) -> Need {
        Need {
            url_prefix: UrlPrefix::parse(prefix).unwrap(),
            room: true,
        }
    }

    fn is_called(ticket: &Ticket) -> bool {
        ticket
            .poll_called(&Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn room_calls_the_first_and_each_that_leaves_calls_the_next() {
        let lines = Lines::new(Arc::default());
        let any = need("http://*:80/");
        assert!(!lines.has(&any));
        let mut line: VecDeque<_> = (0..4).map(|_| lines.join(any.clone())).collect();
        assert!(line.iter().all(|ticket| !is_called(ticket)));
        lines.call();
        assert_eq!(
            line.iter().map(is_called).collect::<Vec<_>>(),
            [true, false, false, false]
        );
        // It has tried in vain: it stays the first, and nobody else is called.
        assert!(line.iter().all(|ticket| !is_called(ticket)));
        lines.call();
        assert!(is_called(&line[0]));
        line.pop_front();
        assert_eq!(
            line.iter().map(is_called).collect::<Vec<_>>(),
            [true, false, false]
        );
        // One in the middle that gives up calls nobody.
        drop(line.remove(1));
        assert!(line.iter().all(|ticket| !is_called(ticket)));
        assert!(lines.has(&any));
        line.clear();
        assert!(!lines.has(&any) && lines.is_empty());
    }

    #[test]
    fn a_first_that_goes_away_before_it_tried_passes_its_call_on() {
        let lines = Lines::new(Arc::default());
        let (first, second) = (
            lines.join(need("http://*:80/")),
            lines.join(need("http://*:80/")),
        );
        lines.call();
        drop(first);
        assert!(is_called(&second));
    }

    #[test]
    fn who_waits_for_something_else_has_a_line_of_its_own() {
        let lines = Lines::new(Arc::default());
        let one = lines.join(need("http://*:80/a/"));
        let other = lines.join(need("http://*:80/b/"));
        let relayed = lines.join(Need {
            room: false,
            ..need("http://*:80/a/")
        });
        lines.call();
        assert!([&one, &other, &relayed].into_iter().all(is_called));
        drop(one);
        assert!(!is_called(&other) && !is_called(&relayed));
    }

    #[test]
    fn a_silent_client_leaves_the_count_and_not_the_line() {
        let shared = Arc::<QueueShared>::default();
        let lines = Lines::new(Arc::clone(&shared));
        let tickets: Vec<_> = (0..3).map(|_| lines.join(need("http://*:80/"))).collect();
        assert_eq!(shared.depth(), 3);
        assert!(tickets[0].fall_silent(2) && tickets[0].fall_silent(2));
        assert!(tickets[1].fall_silent(2));
        assert_eq!(shared.depth(), 1);
        assert!(!tickets[2].fall_silent(2), "as many as may wait are silent");
        lines.call();
        assert!(is_called(&tickets[0]));
        drop(tickets);
        assert_eq!((shared.depth(), lines.is_empty()), (0, true));
    }
}
