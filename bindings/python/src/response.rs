//! The body of an application's response, as the target library sends it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::exchange::{Content, HttpExchange, Piece};
use crate::service::{Alive, Upload};

/// A response's body. While it lasts, it also reads the request's: an application may answer before it has read.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    content: Content,
    ended: bool,
    upload: Option<Upload>,
    alive: Alive,
}

impl ResponseBody {
    pub(crate) fn new(content: Content, upload: Upload, alive: Alive) -> Self {
        let ended = matches!(&content, Content::Whole(data) if data.is_empty());
        // Where the application has said everything it reads no more: the connection's end is to know that before the
        // head is sent.
        let upload = (!matches!(&content, Content::Whole(_))).then_some(upload);
        Self {
            content,
            ended,
            upload,
            alive,
        }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(upload) = &mut this.upload {
            upload.poll(cx);
        }
        match &mut this.content {
            Content::Whole(data) => {
                this.ended = true;
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(data)))))
            }
            Content::File(file) => {
                let data = std::task::ready!(file.poll_data(cx));
                this.ended = file.left() == 0;
                Poll::Ready(data.map(|data| data.map(Frame::data)))
            }
            Content::Pieces => {
                let exchange: &Arc<HttpExchange> = this.alive.exchange();
                let frame = match exchange.poll_piece(cx) {
                    None => return Poll::Pending,
                    Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
                    Some(Piece::File(file)) => {
                        this.ended = file.left() == 0;
                        this.content = Content::File(file);
                        return self.poll_frame(cx);
                    }
                    Some(Piece::Trailers(fields)) => Some(Ok(Frame::trailers(fields))),
                    Some(Piece::End) => None,
                    Some(Piece::Aborted) => Some(Err(io::Error::other("the application failed"))),
                };
                this.ended = !matches!(&frame, Some(Ok(frame)) if frame.is_data());
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(data) => SizeHint::with_exact(data.len() as u64),
            Content::File(file) => SizeHint::with_exact(file.left()),
            Content::Pieces => SizeHint::default(),
        }
    }
}
