//! A request's body on its way to a destination: piece by piece, as `forwarder/body.rs` reads it from
//! the client.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use ostler_delegation::pieces::Pieces;
use ostler_http1::Framing;
use tokio::sync::mpsc;

/// How much of a body is kept so that it can be sent again.
const MOST_KEPT: usize = 64 * 1024;

/// A request's body.
#[derive(Debug)]
pub(crate) struct ForwardBody {
    receiver: Option<mpsc::Receiver<SentPart>>,
    length: Option<u64>,
    /// The mark that it is whole has come.
    is_whole: bool,
    taken: Taken,
    /// What is given once more, before anything else comes.
    again: VecDeque<SentPart>,
}

/// What the reading half sends. That it falls silent does not make a body whole: it does so too when
/// the exchange is given up.
#[derive(Debug, Clone)]
pub(crate) enum SentPart {
    Data {
        data: Bytes,
        is_last: bool,
    },
    /// The last.
    Trailers(HeaderMap),
    End,
}

/// What has been taken of a body.
#[derive(Debug)]
enum Taken {
    Nothing,
    /// It is kept.
    Kept(Box<Kept>),
    /// It is not.
    Lost,
}

/// A body's beginning.
#[derive(Debug)]
struct Kept {
    pieces: Pieces,
    /// What ended it.
    end: Option<SentPart>,
    /// So many bytes are kept, and none of one that is longer.
    most: usize,
}

impl Taken {
    fn add(&mut self, sent: &SentPart) {
        let Self::Kept(kept) = self else {
            *self = Self::Lost;
            return;
        };
        match sent {
            SentPart::Data { data, .. } if kept.pieces.bytes() + data.len() > kept.most => {
                *self = Self::Lost;
            }
            SentPart::Data { data, is_last } => {
                kept.pieces.push(data.clone());
                kept.end = is_last.then_some(SentPart::End);
            }
            SentPart::Trailers(_) | SentPart::End => kept.end = Some(sent.clone()),
        }
    }
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.end.is_none()
    }

    /// Everything once more, in front of what waits to be given again.
    fn put_before(mut self, again: &mut VecDeque<SentPart>) {
        let waiting = std::mem::take(again);
        while let Some(data) = self.pieces.pop() {
            let is_last = self.pieces.is_empty() && matches!(self.end, Some(SentPart::End));
            again.push_back(SentPart::Data { data, is_last });
        }
        let ends_with_data = matches!(again.back(), Some(SentPart::Data { is_last: true, .. }));
        again.extend(self.end.filter(|_| !ends_with_data));
        again.extend(waiting);
    }
}

/// The client's body broke off.
#[derive(Debug, thiserror::Error)]
#[error("the client's body broke off")]
pub(crate) struct Broken;

impl ForwardBody {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self::of(None, Framing::None)
    }

    /// A body of this framing, and who sends it: nobody does where there is none.
    pub(crate) fn channel(framing: Framing) -> (Option<mpsc::Sender<SentPart>>, Self) {
        match framing {
            Framing::None => (None, Self::empty()),
            _ => {
                let (sender, receiver) = mpsc::channel(1);
                (Some(sender), Self::of(Some(receiver), framing))
            }
        }
    }

    fn of(receiver: Option<mpsc::Receiver<SentPart>>, framing: Framing) -> Self {
        Self {
            receiver,
            length: match framing {
                Framing::None => Some(0),
                Framing::Length(length) => Some(length),
                Framing::Chunked => None,
            },
            is_whole: framing == Framing::None,
            taken: Taken::Nothing,
            again: VecDeque::new(),
        }
    }

    /// Keeps what is taken from here on, as long as it is little, so that it can be sent again.
    pub(crate) fn remember(&mut self) {
        self.remember_up_to(MOST_KEPT);
    }

    /// The same where `most` bytes are little.
    pub(crate) fn remember_up_to(&mut self, most: usize) {
        if let Taken::Nothing = self.taken {
            self.taken = Taken::Kept(Box::new(Kept {
                pieces: Pieces::default(),
                end: None,
                most,
            }));
        }
    }

    /// It is not sent again: whoever has been sent it has begun.
    pub(crate) fn forget(&mut self) {
        if let Taken::Kept(kept) = &self.taken {
            self.taken = match kept.is_empty() {
                true => Taken::Nothing,
                false => Taken::Lost,
            };
        }
    }

    /// Whether nothing of it has been read from the client.
    pub(crate) fn is_untouched(&self) -> bool {
        let is_taken = match &self.taken {
            Taken::Nothing => false,
            Taken::Kept(kept) => !kept.is_empty(),
            Taken::Lost => true,
        };
        let is_here = self
            .receiver
            .as_ref()
            .is_some_and(|receiver| !receiver.is_empty());
        !is_taken && !is_here && self.again.is_empty()
    }

    /// Goes back to the beginning; false where that has not been kept.
    pub(crate) fn rewind(&mut self) -> bool {
        match std::mem::replace(&mut self.taken, Taken::Nothing) {
            Taken::Nothing => true,
            Taken::Kept(kept) => {
                self.is_whole &= kept.is_empty();
                kept.put_before(&mut self.again);
                true
            }
            Taken::Lost => {
                self.taken = Taken::Lost;
                false
            }
        }
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Option<SentPart>> {
        if let Some(sent) = self.again.pop_front() {
            return Poll::Ready(Some(sent));
        }
        match &mut self.receiver {
            Some(receiver) => receiver.poll_recv(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Body for ForwardBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_whole {
            return Poll::Ready(None);
        }
        let Some(sent) = ready!(self.poll_sent(cx)) else {
            self.receiver = None;
            return Poll::Ready(Some(Err(Broken)));
        };
        self.taken.add(&sent);
        let frame = match sent {
            SentPart::Data { data, is_last } => {
                self.is_whole = is_last;
                Frame::data(data)
            }
            SentPart::Trailers(trailers) => {
                self.is_whole = true;
                Frame::trailers(trailers)
            }
            SentPart::End => {
                self.is_whole = true;
                return Poll::Ready(None);
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_whole
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(body: &mut ForwardBody) -> Option<Bytes> {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        frame.map(|frame| frame.unwrap().into_data().unwrap())
    }

    fn piece(data: &[u8], is_last: bool) -> SentPart {
        let data = Bytes::copy_from_slice(data);
        SentPart::Data { data, is_last }
    }

    #[tokio::test]
    async fn what_is_kept_is_given_again() {
        let (sender, mut body) = ForwardBody::channel(Framing::Chunked);
        let sender = sender.unwrap();
        body.remember();
        sender.try_send(piece(b"one", false)).unwrap();
        assert_eq!(next(&mut body).await.unwrap(), "one");
        sender.try_send(piece(b"two", true)).unwrap();
        assert_eq!(next(&mut body).await.unwrap(), "two");
        assert_eq!(next(&mut body).await, None);
        assert!(body.rewind());
        body.remember();
        assert!(!body.is_end_stream());
        assert_eq!(next(&mut body).await.unwrap(), "one");
        // In the middle, too.
        assert!(body.rewind());
        body.remember();
        for expected in ["one", "two"] {
            assert_eq!(next(&mut body).await.unwrap(), expected);
        }
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn how_a_body_ended_is_given_again_too() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("1"));
        for end in [SentPart::End, SentPart::Trailers(trailers.clone())] {
            let has_trailers = matches!(end, SentPart::Trailers(_));
            let (sender, mut body) = ForwardBody::channel(Framing::Chunked);
            let sender = sender.unwrap();
            body.remember();
            for piece_of in ["one", "two"] {
                sender.try_send(piece(piece_of.as_bytes(), false)).unwrap();
                assert_eq!(next(&mut body).await.unwrap(), piece_of);
            }
            sender.try_send(end).unwrap();
            for _ in 0..2 {
                let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
                let given = frame.map(|frame| frame.unwrap().into_trailers().unwrap());
                assert_eq!(given, has_trailers.then(|| trailers.clone()));
                assert!(body.is_end_stream());
                assert!(body.rewind());
                body.remember();
                for piece_of in ["one", "two"] {
                    assert!(!body.is_end_stream());
                    assert_eq!(next(&mut body).await.unwrap(), piece_of);
                }
                if !has_trailers {
                    assert!(body.is_end_stream());
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_forgotten_is_not_given_again() {
        let (sender, mut body) = ForwardBody::channel(Framing::Chunked);
        let sender = sender.unwrap();
        body.remember();
        body.forget();
        assert!(body.rewind(), "nothing has been taken");
        body.remember();
        sender.try_send(piece(b"one", false)).unwrap();
        next(&mut body).await.unwrap();
        body.forget();
        assert!(!body.rewind());
    }

    #[tokio::test]
    async fn what_is_much_or_was_not_to_be_kept_is_lost() {
        for is_kept in [false, true] {
            let (sender, mut body) = ForwardBody::channel(Framing::Chunked);
            if is_kept {
                body.remember();
            }
            assert!(body.rewind(), "nothing has been taken");
            if is_kept {
                body.remember();
            }
            let much = vec![0; MOST_KEPT + usize::from(is_kept)];
            sender.unwrap().try_send(piece(&much, false)).unwrap();
            next(&mut body).await.unwrap();
            assert!(!body.rewind());
        }
    }
}
