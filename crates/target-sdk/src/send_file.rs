//! Responses whose body is a file: the kernel sends it to the client's socket, and the library does
//! what `Range` asks for.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE,
    LAST_MODIFIED, RANGE,
};
use http::{Method, Request, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;

/// A response's body that is a file, or a part of one.
///
/// Put into the extensions of a response, it takes the place of the response's body:
///
/// ```no_run
/// # use ostler_target::SendFile;
/// # fn example() -> std::io::Result<http::Response<String>> {
/// let file = std::fs::File::open("/srv/film.mp4")?;
/// let mut response = http::Response::new(String::new());
/// response.extensions_mut().insert(SendFile::new(file)?);
/// # Ok(response) }
/// ```
///
/// Where the request was delegated, sendfile(2) takes the bytes from the file to the client's socket
/// (the kernel encrypts them if the client speaks TLS); on other ways they are copied. To a `GET` that
/// would be answered with 200, a `Range` of one part gives 206, or 416 if the file has no such part; `If-Range` is
/// compared with the response's `ETag` or `Last-Modified`. Other conditions (`If-None-Match`) are the
/// application's.
///
/// A file that is not in memory makes the thread that sends it wait for the disk.
#[derive(Debug, Clone)]
pub struct SendFile {
    file: Arc<File>,
    /// `start <= end`
    part: Range<u64>,
}

impl SendFile {
    /// The whole of a file, as long as it is now. A file that is shorter when its turn comes ends
    /// the response early, and the connection with it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is no regular file; else what fstat(2) says.
    pub fn new(file: File) -> io::Result<Self> {
        let about = file.metadata()?;
        if !about.is_file() {
            let problem = "only a regular file can be sent";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        Ok(Self {
            file: Arc::new(file),
            part: 0..about.len(),
        })
    }

    /// A part of a file, which counts as the whole for `Range`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and `InvalidInput` when the file has no such part.
    pub fn part(file: File, part: Range<u64>) -> io::Result<Self> {
        let whole = Self::new(file)?;
        if part.start > part.end || part.end > whole.part.end {
            let problem = format!(
                "bytes {} to {} are no part of a file of {} bytes",
                part.start, part.end, whole.part.end
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        Ok(Self { part, ..whole })
    }

    /// How many bytes are sent.
    pub fn length(&self) -> u64 {
        self.part.end - self.part.start
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn offset(&self) -> u64 {
        self.part.start
    }

    /// The file as a body whose bytes are copied.
    pub(crate) fn into_body(self) -> FileBody {
        FileBody {
            file: self.file,
            part: self.part,
            reading: None,
        }
    }

    /// The part that a request has asked for; `None` if the file has no such part.
    fn narrowed(&self, asked: &AskedPart) -> Option<Range<u64>> {
        let length = self.length();
        let (first, end) = match *asked {
            AskedPart::From { first, last } => {
                let end = last.map_or(length, |last| last.saturating_add(1).min(length));
                (first, end)
            }
            AskedPart::Last(count) => (length.saturating_sub(count), length),
        };
        (first < end).then(|| self.part.start + first..self.part.start + end)
    }
}

/// What a request's `Range` asks for, if the response should be a file.
#[derive(Debug)]
pub(crate) struct AskedRange {
    part: AskedPart,
    if_range: Option<HeaderValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskedPart {
    /// From the first byte to the last, both counted from 0 and included.
    From { first: u64, last: Option<u64> },
    /// So many bytes at the end.
    Last(u64),
}

impl AskedRange {
    /// `None` where nothing is asked that this library does: a `Range` that is malformed or of several parts is
    /// ignored, as RFC 9110 section 14.2 allows.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        // The usual request has none, and pays for one look.
        let range = request.headers().get(RANGE)?;
        if request.method() != Method::GET || request.headers().get_all(RANGE).iter().count() > 1 {
            return None;
        }
        Some(Self {
            part: asked_part(range.to_str().ok()?)?,
            if_range: request.headers().get(IF_RANGE).cloned(),
        })
    }

    /// Whether the file is the one that the client has a part of (RFC 9110 section 13.1.5).
    fn holds(&self, fields: &HeaderMap) -> bool {
        let Some(asked) = &self.if_range else {
            return true;
        };
        let is_tag = asked.as_bytes().contains(&b'"');
        match is_tag {
            // A weak tag says nothing about bytes.
            true => !asked.as_bytes().starts_with(b"W/") && fields.get(ETAG) == Some(asked),
            false => fields.get(LAST_MODIFIED) == Some(asked),
        }
    }
}

/// RFC 9110 section 14.1.2, one part.
fn asked_part(value: &str) -> Option<AskedPart> {
    let (unit, part) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = part.trim().split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        // More than there can be is the end, as any number behind it.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first, last) {
        ("", last) => Some(AskedPart::Last(number(last)?)),
        (first, "") => Some(AskedPart::From {
            first: number(first)?,
            last: None,
        }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(AskedPart::From {
                first,
                last: Some(last),
            })
        }
    }
}

/// Does to a response that is a file what its request's `Range` asks for.
pub(crate) fn apply_range<B>(asked: Option<&AskedRange>, response: &mut http::Response<B>) {
    let Some(file) = response.extensions().get::<SendFile>() else {
        return;
    };
    let (length, start) = (file.length(), file.part.start);
    let asked = asked
        .filter(|asked| response.status() == StatusCode::OK && asked.holds(response.headers()));
    let Some(narrowed) = asked.map(|asked| file.narrowed(&asked.part)) else {
        if response.status() == StatusCode::OK {
            let fields = response.headers_mut();
            fields
                .entry(ACCEPT_RANGES)
                .or_insert(HeaderValue::from_static("bytes"));
        }
        return;
    };
    // A length that the application has stated is the whole file's.
    response.headers_mut().remove(CONTENT_LENGTH);
    let (status, said) = match &narrowed {
        Some(part) => (
            StatusCode::PARTIAL_CONTENT,
            format!(
                "bytes {}-{}/{length}",
                part.start - start,
                part.end - start - 1
            ),
        ),
        None => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            format!("bytes */{length}"),
        ),
    };
    *response.status_mut() = status;
    if let Ok(said) = HeaderValue::try_from(said) {
        response.headers_mut().insert(CONTENT_RANGE, said);
    }
    if let Some(file) = response.extensions_mut().get_mut::<SendFile>() {
        // Of a 416 nothing is sent.
        file.part = narrowed.unwrap_or(start..start);
    }
}

/// Most bytes copied at a time, and so the most that one response holds in memory.
const PIECE: u64 = 256 * 1024;

/// A file whose bytes are copied, read on the runtime's blocking threads.
#[derive(Debug)]
pub(crate) struct FileBody {
    file: Arc<File>,
    part: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.part.is_empty() {
            return Poll::Ready(None);
        }
        let (file, part) = (Arc::clone(&self.file), self.part.clone());
        let reading = self
            .reading
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || read_piece(&file, &part)));
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let piece = read.map_err(io::Error::other).flatten()?;
        self.part.start += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.part.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.part.end - self.part.start)
    }
}

fn read_piece(file: &File, part: &Range<u64>) -> io::Result<Bytes> {
    let length = (part.end - part.start).min(PIECE);
    let mut piece = vec![0; length as usize];
    let read = file.read_at(&mut piece, part.start)?;
    if read == 0 {
        return Err(has_shrunk());
    }
    piece.truncate(read);
    Ok(piece.into())
}

/// What was promised in the head is not there any more.
pub(crate) fn has_shrunk() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file has become shorter while it was sent",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::BodyExt;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn response(fields: &[(&str, &str)], file: SendFile) -> http::Response<()> {
        let mut response = http::Response::builder();
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        response.extension(file).body(()).unwrap()
    }

    /// The status, the content-range and the bytes of an answer to such a request.
    async fn answer(
        request: &[(&str, &str)],
        mut response: http::Response<()>,
    ) -> (u16, String, String) {
        let mut asking = Request::builder();
        for (name, value) in request {
            asking = asking.header(*name, *value);
        }
        let asked = AskedRange::of(&asking.body(()).unwrap());
        apply_range(asked.as_ref(), &mut response);
        let file = response.extensions_mut().remove::<SendFile>().unwrap();
        let bytes = file.into_body().collect().await.unwrap().to_bytes();
        let said = response.headers().get(CONTENT_RANGE);
        let said = said.map_or("", |said| said.to_str().unwrap());
        (
            response.status().as_u16(),
            said.to_owned(),
            String::from_utf8(bytes.into()).unwrap(),
        )
    }

    #[tokio::test]
    async fn ranges_of_one_part_are_answered() {
        for (range, status, said, body) in [
            ("bytes=2-4", 206, "bytes 2-4/10", "234"),
            ("Bytes=8-", 206, "bytes 8-9/10", "89"),
            ("bytes=8-99999999999999999999", 206, "bytes 8-9/10", "89"),
            ("bytes=-3", 206, "bytes 7-9/10", "789"),
            ("bytes=-30", 206, "bytes 0-9/10", "0123456789"),
            ("bytes=10-", 416, "bytes */10", ""),
            ("bytes=-0", 416, "bytes */10", ""),
            ("bytes=4-2", 200, "", "0123456789"),
            ("bytes=1-2,4-5", 200, "", "0123456789"),
            ("bytes=+1-2", 200, "", "0123456789"),
            ("lines=1-2", 200, "", "0123456789"),
            ("bytes", 200, "", "0123456789"),
        ] {
            let file = SendFile::new(file(b"0123456789")).unwrap();
            let got = answer(&[("range", range)], response(&[], file)).await;
            assert_eq!(got, (status, said.to_owned(), body.to_owned()), "{range}");
        }
    }

    #[tokio::test]
    async fn a_range_of_a_part_counts_from_its_beginning() {
        let part = SendFile::part(file(b"0123456789"), 3..8).unwrap();
        let got = answer(&[("range", "bytes=1-2")], response(&[], part)).await;
        assert_eq!(got, (206, "bytes 1-2/5".to_owned(), "45".to_owned()));
    }

    #[tokio::test]
    async fn if_range_holds_for_the_same_file_alone() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (if_range, fields, status) in [
            ("\"a\"", ("etag", "\"a\""), 206),
            ("\"a\"", ("etag", "\"b\""), 200),
            ("W/\"a\"", ("etag", "W/\"a\""), 200),
            (date, ("last-modified", date), 206),
            (date, ("etag", "\"a\""), 200),
        ] {
            let file = SendFile::new(file(b"0123456789")).unwrap();
            let request = [("range", "bytes=0-0"), ("if-range", if_range)];
            let (got, ..) = answer(&request, response(&[fields], file)).await;
            assert_eq!(got, status, "{if_range}");
        }
    }

    #[tokio::test]
    async fn what_is_answered_otherwise_has_no_ranges() {
        let file = SendFile::new(file(b"0123456789")).unwrap();
        let mut response = response(&[], file);
        *response.status_mut() = StatusCode::NOT_FOUND;
        let got = answer(&[("range", "bytes=0-0")], response).await;
        assert_eq!(got, (404, String::new(), "0123456789".to_owned()));
    }

    #[test]
    fn only_what_a_file_has_can_be_sent() {
        for part in [0..11, 4..u64::MAX, 11..11] {
            let refused = SendFile::part(file(b"0123456789"), part.clone()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{part:?}");
        }
        assert!(SendFile::part(file(b"0123456789"), 10..10).is_ok());
        let folder = File::open("/").unwrap();
        let refused = SendFile::new(folder).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_breaks_off() {
        let shrinking = file(b"0123456789");
        let body = SendFile::new(shrinking.try_clone().unwrap()).unwrap();
        shrinking.set_len(4).unwrap();
        let mut body = body.into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "0123");
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
