//! The way of a request to a trusted target over a stream, and to another instance for as long as nobody
//! has begun it.

use std::future::poll_fn;

use http::{Response, StatusCode};
use ostler_delegation::stream_entry::StreamHead;
use ostler_delegation::{Disposition, Stage};

use super::prepared::Reply;
use super::reply_body::ReplyBody;
use super::way::{GivenBack, NotSent, Replied, Way};
use super::web_socket::Handshake;
use crate::account::Account;
use crate::answer::{Unanswered, Why};
use crate::context::ExchangeContext;
use crate::delegation::{End, Search, Seen, StreamAsked, Verdict, verdict};
use crate::destinations::{ForwardBody, Interim, SendError};
use crate::queues::{Event, Heard, NotTaken, Rule, StreamHandle, StreamedBody, Taker, Uploading};
use crate::worker::Worker;

/// To an instance that shares memory with the front.
pub(super) struct ToStream<'a> {
    pub(super) asked: StreamAsked<'a>,
    pub(super) handshake: Option<Handshake>,
    pub(super) rule: &'a Rule,
    pub(super) search: &'a mut Search,
    pub(super) worker: &'a Worker,
    /// Opened by whoever chose this way.
    pub(super) stream: Option<StreamHandle>,
    pub(super) interim: &'a Interim,
}

/// What becomes of a request that has no response yet.
enum Judged {
    GoOn,
    /// Somebody else may begin it.
    Again,
    Failed(NotSent<GivenBack>),
}

impl Way for ToStream<'_> {
    type Back = GivenBack;

    async fn send(
        &mut self,
        _: &mut ExchangeContext<'_>,
        _: &mut Account,
        body: ForwardBody,
    ) -> Result<Replied, NotSent<GivenBack>> {
        let mut uploading = Uploading::new(body);
        let Some(mut stream) = self.stream.take() else {
            return Err(NotSent::GivenBack(GivenBack));
        };
        loop {
            let heard = poll_fn(|cx| {
                // First: a stream that is over takes no body, and another one may need what is kept of it.
                let heard = stream.poll_heard(cx);
                if heard.is_pending() {
                    // Whether it is over by now is for others to ask.
                    let _ = uploading.poll(cx, &stream);
                }
                heard
            });
            let event = match heard.await {
                Heard::Head(head) => {
                    let reply = reply(head, stream, uploading);
                    return Ok((reply, self.handshake.take()));
                }
                Heard::Interim(head) => {
                    if let Ok(status) = StatusCode::from_u16(head.status) {
                        self.interim.arrive(status, &head.fields);
                    }
                    continue;
                }
                Heard::Event(event) => event,
            };
            match self.judge(&stream, event) {
                Judged::GoOn => continue,
                Judged::Failed(why) => return Err(why),
                Judged::Again => {}
            }
            stream.channel().catch_up();
            self.search.passed.taken_back(stream.channel().id());
            if uploading.is_untouched() {
                return Err(NotSent::GivenBack(GivenBack));
            }
            let died = || self.unanswered(Unanswered::TargetDied);
            uploading = uploading.again().ok_or_else(died)?;
            self.interim.clear();
            stream = self.another().await.map_err(|why| self.unanswered(why))?;
        }
    }
}

impl ToStream<'_> {
    /// Reads the failure table.
    fn judge(&self, stream: &StreamHandle, event: Event) -> Judged {
        let (seen, stage) = match event {
            Event::Completed(completed) if completed.disposition != Disposition::Returned => {
                let error = "the target has ended the exchange without a response";
                return Judged::Failed(NotSent::Failed(SendError::of(error)));
            }
            Event::Completed(completed) => (Seen::Completed(completed.disposition), Stage::Queued),
            Event::TargetDied(stage) => (Seen::TargetDied, stage),
            Event::WaitedTooLong => (Seen::WaitedTooLong, stream.stage()),
            Event::Stalled => (Seen::Stalled, stream.stage()),
            // Of a client and its time the conversation knows.
            Event::TimedOut | Event::Overdue | Event::ClientSilent | Event::BodyTooSlow => {
                return Judged::GoOn;
            }
            // A stream has none.
            Event::LeaseIsOver => return Judged::GoOn,
        };
        let end = match verdict(seen, stage, self.asked.head.method()) {
            Verdict::End(end) => end,
            Verdict::TakeBack(end) if stream.withdraw() => end,
            // The target has it, or says in a moment that it gives it back.
            Verdict::TakeBack(_) | Verdict::GoOn | Verdict::EndBody | Verdict::Cancel => {
                return Judged::GoOn;
            }
        };
        match end {
            End::Again | End::Returned => Judged::Again,
            End::WaitedTooLong => Judged::Failed(self.unanswered(Unanswered::WaitedTooLong)),
            End::CutShort => {
                let error = "the target died as it began to answer";
                Judged::Failed(NotSent::Failed(SendError::of(error)))
            }
            _ => Judged::Failed(self.unanswered(Unanswered::TargetDied)),
        }
    }

    /// Another instance for a request of whose body some has been read: it can go nowhere but to another
    /// instance of the queue, for which it waits.
    async fn another(&mut self) -> Result<StreamHandle, Unanswered> {
        let Rule { queue, rule } = self.rule;
        loop {
            let channel = match queue.taker(rule, &self.search.passed) {
                Ok(Taker::Channel(channel)) if channel.speaks_streams() => channel,
                Ok(Taker::Channel(_) | Taker::Relay(_)) => return Err(Unanswered::TargetDied),
                Err(error) => return Err(Unanswered::Rule(error)),
                Ok(Taker::Nobody) => {
                    self.wait().await?;
                    self.search.passed.begin_anew();
                    continue;
                }
            };
            match self.asked.open(&channel, self.worker.now()) {
                Ok(stream) => {
                    self.search.ticket = None;
                    return Ok(stream);
                }
                Err(NotTaken::TooLarge) => return Err(Unanswered::TooLarge),
                Err(NotTaken::Full | NotTaken::Dead) => {
                    self.search.passed.full(channel.id());
                }
            }
        }
    }

    /// Waits in line until it is this request's turn to try. That the client leaves, or its time is
    /// over, the conversation sees.
    async fn wait(&mut self) -> Result<(), Unanswered> {
        let ticket = self.search.ticket.get_or_insert_with(|| {
            self.rule.queue.lines().join(crate::queues::Need {
                url_prefix: self.rule.rule.url_prefix().clone(),
                room: false,
            })
        });
        tokio::select! {
            biased;
            () = poll_fn(|cx| ticket.poll_called(cx)) => Ok(()),
            () = tokio::time::sleep_until(self.search.deadline.into()) => {
                Err(Unanswered::WaitedTooLong)
            }
        }
    }

    fn unanswered(&self, why: Unanswered) -> NotSent<GivenBack> {
        NotSent::Unanswered(Why::Unanswered(self.rule.queue.name().clone(), why))
    }
}

/// A response whose head has come.
fn reply(head: StreamHead, stream: StreamHandle, mut uploading: Uploading) -> Reply {
    uploading.forget_start();
    // It has been checked where it was read: from 100 to 999.
    let status = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.headers = head.fields;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let response = Response::from_parts(parts, stream.into_tunnel());
        return Reply::Switched(response);
    }
    let body = StreamedBody::new(stream, uploading, head.length);
    Reply::Response(Response::from_parts(parts, ReplyBody::Stream(body)))
}
