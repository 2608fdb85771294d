//! An exchange that is with a target: waiting for its end, with an eye on the client meanwhile.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ostler_delegation::entry::ExchangeKey;
use ostler_delegation::{Disposition, Stage};
use ostler_http1::{Framing, HeadDecoder, HeadProgress, Limits, RequestHead};
use ostler_shm::Journaled;

use super::verdict::{End, Seen, Verdict, verdict};
use crate::client_socket::{Interest, READ};
use crate::connection::Connection;
use crate::metrics::QueueEvent;
use crate::queues::{Channel, Event, Handoff};

/// How often it is looked whether a client that has ended its stream is still there: one that only says
/// that it sends nothing more is answered, one that went away is noticed.
const SILENCE: Duration = Duration::from_secs(1);

/// An exchange between its hand-over and its end.
pub(super) struct InFlight<'c> {
    connection: &'c mut Connection,
    head: &'c RequestHead,
    channel: Rc<Channel>,
    handoff: Rc<Handoff>,
    key: ExchangeKey,
    /// The client's bytes tell of the exchange's end. Else they are the target's to read, and only
    /// that the connection breaks is told here.
    watches_bytes: bool,
}

/// What wakes whoever waits for the end.
enum Woken {
    By(Event),
    /// There is something to read.
    Bytes,
    Broken,
}

/// What has been read of what a client sends ahead.
enum Ahead {
    More,
    Enough,
    Broken,
}

impl<'c> InFlight<'c> {
    /// `None` when nothing has been handed over on this connection.
    pub(super) fn new(
        connection: &'c mut Connection,
        head: &'c RequestHead,
        channel: Rc<Channel>,
    ) -> Option<Self> {
        let handoff = Rc::clone(&connection.handoff);
        let mut exchange = Self {
            key: handoff.key()?,
            watches_bytes: false,
            connection,
            head,
            channel,
            handoff,
        };
        exchange.begin_watching();
        Some(exchange)
    }

    /// Waits for the exchange's end.
    pub(super) async fn end(mut self) -> End {
        loop {
            let seen = match self.woken().await {
                Woken::Bytes => match self.read_ahead() {
                    Ahead::More => continue,
                    Ahead::Enough => {
                        self.watches_bytes = false;
                        continue;
                    }
                    Ahead::Broken => Seen::ClientGone,
                },
                Woken::Broken => Seen::ClientGone,
                Woken::By(Event::ClientSilent) if !self.connection.client.has_left() => {
                    self.look_again();
                    continue;
                }
                Woken::By(Event::LeaseIsOver) => match self.end_lease() {
                    Some(end) => return end,
                    None => continue,
                },
                Woken::By(Event::TargetDied(stage)) if self.handoff.is_lease_told() => {
                    return self.read_on_after_death(stage);
                }
                Woken::By(event) => match self.take_in(event) {
                    // Of one that died its channel has told how far it was.
                    (Seen::TargetDied, stage) => {
                        if stage != Stage::Queued {
                            self.channel.counts().count(QueueEvent::Taken);
                        }
                        if let Verdict::End(end) =
                            verdict(Seen::TargetDied, stage, self.head.method())
                        {
                            return end;
                        }
                        continue;
                    }
                    (seen, _) => seen,
                },
            };
            if let Some(end) = self.judge(seen) {
                return end;
            }
        }
    }

    /// What an event says, and how far the target was if it has died. What the target has given back
    /// of the client's bytes is put in its place.
    fn take_in(&mut self, event: Event) -> (Seen, Stage) {
        let seen = match event {
            Event::Completed(completed) => {
                let disposition = match completed.disposition {
                    // What was handed over has been answered long ago.
                    Disposition::Returned if self.handoff.is_lease_told() => Disposition::Close,
                    disposition => disposition,
                };
                if disposition == Disposition::Keep {
                    self.connection
                        .consume_prefix(self.head.framing(), completed.leftover);
                }
                Seen::Completed(disposition)
            }
            Event::TargetDied(stage) => return (Seen::TargetDied, stage),
            Event::WaitedTooLong => Seen::WaitedTooLong,
            Event::Stalled => Seen::Stalled,
            Event::TimedOut => Seen::TimedOut,
            Event::Overdue => Seen::Overdue,
            Event::ClientSilent => Seen::ClientGone,
            Event::BodyTooSlow => Seen::BodyTooSlow,
            // Seen to before.
            Event::LeaseIsOver => Seen::WaitedTooLong,
        };
        (seen, Stage::Queued)
    }

    /// Does what the table says; `None` when the exchange goes on.
    fn judge(&self, seen: Seen) -> Option<End> {
        let method = self.head.method();
        let mut judged = verdict(seen, self.channel.stage(self.key), method);
        if let Verdict::TakeBack(end) = judged {
            if self.channel.withdraw(self.key) {
                return Some(end);
            }
            let received = Stage::Received { body_read: false };
            judged = verdict(seen, received, method);
        }
        match judged {
            Verdict::End(end) => Some(end),
            Verdict::Cancel => {
                self.channel.client_gone(self.key);
                Some(End::Abandoned)
            }
            Verdict::EndBody => {
                self.end_body();
                None
            }
            Verdict::GoOn | Verdict::TakeBack(_) => None,
        }
    }

    async fn woken(&self) -> Woken {
        let (client, handoff) = (&self.connection.client, &self.handoff);
        if self.watches_bytes {
            return poll_fn(|cx| {
                if let Poll::Ready(()) = client.poll_readable(cx).map(drop) {
                    // Usually the next request, whose coming says that this one is answered.
                    self.channel.settle();
                    return Poll::Ready(match handoff.take_event() {
                        Some(event) => Woken::By(event),
                        None => Woken::Bytes,
                    });
                }
                handoff.poll_event(cx).map(Woken::By)
            })
            .await;
        }
        tokio::select! {
            biased;
            event = poll_fn(|cx| handoff.poll_event(cx)) => Woken::By(event),
            () = client.broken() => Woken::Broken,
        }
    }

    /// Registers for what tells of the exchange's end, or of the client's going away.
    fn begin_watching(&mut self) {
        let connection = &mut *self.connection;
        let head = self.head;
        // The target reads from the socket if the body is not here whole, and after an upgrade.
        let prefix = connection.body_prefix(head.framing()).len() as u64;
        let reads_ahead = match head.framing() {
            Framing::None => head.upgrade().is_none() && !head.is_connect(),
            Framing::Length(length) => prefix >= length,
            Framing::Chunked => false,
        };
        let is_leased = self.handoff.is_leased();
        let watches = reads_ahead && !connection.read_closed && !is_leased;
        let more_is_here = connection.input.len() as u64 > prefix;
        connection.watch.set_has_more(connection.has_more(head));
        let registered = if watches {
            connection.client.set_interest(Interest::Reads)
        } else {
            self.leave_reading_to_the_target()
        };
        if self.handoff.is_wanted() || (watches && more_is_here) {
            // Somebody waits for what the exchange holds, or the next request is here already, so that
            // its arrival will not tell of this one's end.
            self.want_completion();
        }
        // Without a registration nothing tells of the client; the target's own calls on the socket will.
        self.watches_bytes = watches && registered.is_ok();
    }

    /// Takes in what the client sends before its answer: the next request, or its end of stream. No
    /// more than is read at a time anywhere else: what is read here travels in an entry whose size
    /// counts on that.
    fn read_ahead(&mut self) -> Ahead {
        let room = READ.saturating_sub(self.connection.input.len());
        if room > 0 {
            let connection = &mut *self.connection;
            match connection.client.recv_now(&mut connection.input, room) {
                Ok(0) if connection.client.has_left() => return Ahead::Broken,
                Ok(0) => self.fall_silent(),
                Ok(_) => {
                    connection.watch.set_has_more(true);
                    self.want_completion();
                    return Ahead::More;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    connection.client.clear_readable();
                    return Ahead::More;
                }
                Err(_) => return Ahead::Broken,
            }
        }
        match self.leave_reading_to_the_target() {
            Ok(()) => Ahead::Enough,
            Err(_) => Ahead::Broken,
        }
    }

    /// The client has ended its stream: it may be gone.
    fn fall_silent(&mut self) {
        self.connection.read_closed = true;
        self.channel.leave_out(self.key);
        self.connection.client.ask_for_presence();
        self.look_again();
    }

    /// Has it looked after a while whether the client is still there.
    fn look_again(&self) {
        let now = self.connection.worker.now();
        self.handoff.client_fell_silent(now, SILENCE);
    }

    /// Ends the connection's lease. `None` where its target has a request: that goes on as any other.
    fn end_lease(&mut self) -> Option<End> {
        match self.channel.end_lease(self.key, &self.handoff) {
            Stage::Resting => Some(End::ReadOn),
            // The target is reading: it is ended once more by the next tick.
            Stage::Reading => None,
            Stage::Queued | Stage::Received { .. } | Stage::Responding => {
                let interest = self.connection.client.set_interest(Interest::Reads);
                self.watches_bytes = interest.is_ok();
                None
            }
        }
    }

    /// The target has died, behind exchanges that it has told of. What it had read of a next one and not
    /// begun to answer is read here, and goes to whoever takes it.
    fn read_on_after_death(&mut self, stage: Stage) -> End {
        let told = self.handoff.told();
        let journaled = self.channel.journaled(self.key);
        let journaled = journaled.filter(|journaled| journaled.number >= told);
        match (stage, journaled) {
            (Stage::Responding, Some(journaled)) => {
                self.handoff.put_account_of(&journaled.bytes);
                End::CutShort
            }
            // It has said that it has a request, and has none.
            (Stage::Received { .. } | Stage::Queued, None) => End::Close,
            (Stage::Reading | Stage::Received { .. }, Some(journaled)) => {
                if !is_whole(&journaled) {
                    return End::Close;
                }
                self.connection.input.splice(0..0, journaled.bytes);
                End::ReadOn
            }
            _ => End::ReadOn,
        }
    }

    /// From here the client's bytes wake nobody here, so the completion must.
    fn leave_reading_to_the_target(&mut self) -> std::io::Result<()> {
        self.connection.client.set_interest(Interest::Breaks)?;
        self.want_completion();
        Ok(())
    }

    /// Has this task woken by the exchange's end, whatever it is.
    fn want_completion(&self) {
        self.handoff.want_completion();
        self.channel.ask_for_wake();
        // It may have been there before the target was asked to tell.
        self.channel.settle();
    }

    /// The target finds the end of the stream, and why: it answers 408, or closes. One that does not
    /// end the exchange by itself is cut off later.
    fn end_body(&self) {
        self.channel.body_too_slow(self.key);
        if let Some(socket) = self.connection.client.plain_fd() {
            let _ = ostler_shm::shutdown_read(socket);
        }
        self.handoff.ends_by(self.connection.worker.now());
    }
}

/// Whether all that was received is there. A target that died before it said how much that was leaves out
/// zeros at the end: in a head are none, and behind one without a body nothing matters yet.
fn is_whole(journaled: &Journaled) -> bool {
    if journaled.is_certain {
        return true;
    }
    let mut head = RequestHead::default();
    match HeadDecoder::new(Limits::default()).decode(&journaled.bytes, &mut head) {
        Ok(HeadProgress::Complete { consumed }) => {
            head.framing() == Framing::None && consumed == journaled.bytes.len()
        }
        Ok(HeadProgress::Incomplete) => true,
        Err(_) => false,
    }
}
