//! Bytes on the wire, read strictly: what is not HTTP/1.1 is said, never mended.

use std::net::Ipv4Addr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::net::TcpStream;

use crate::record::Fields;

/// Why a message could not be read.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The peer broke the syntax.
    Protocol(String),
    /// The peer ended the stream inside a message.
    Ended(String),
    /// The peer ended the stream before one.
    Nothing,
}

pub(crate) type Read<T> = Result<T, Trouble>;

/// How a message's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Unsaid,
    Length(u64),
    Chunked,
}

/// A body, of which the start is kept.
#[derive(Debug, Default, Clone)]
pub(crate) struct Body {
    pub(crate) content: Vec<u8>,
    pub(crate) length: u64,
}

impl Body {
    fn add(&mut self, piece: &[u8]) {
        const KEPT: usize = 1 << 20;
        self.length += piece.len() as u64;
        if self.content.len() < KEPT {
            self.content.extend_from_slice(piece);
        }
    }

    /// The body as records show it: a character a byte, or length and hash.
    pub(crate) fn shown(&self) -> String {
        if self.length <= 4096 {
            return self.content.iter().map(|byte| char::from(*byte)).collect();
        }
        let hash = Sha256::digest(&self.content);
        let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} bytes, sha256 of what was kept {hash}", self.length)
    }
}

/// Bytes as text: UTF-8 where they are, else a character a byte.
pub(crate) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The bytes of a text of records: a byte a character, unless one of them is none.
pub(crate) fn bytes_of(text: &str) -> Vec<u8> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    bytes.unwrap_or_else(|_| text.as_bytes().to_vec())
}

/// The values of all lines of a field.
pub(crate) fn lines_of<'f>(fields: &'f Fields, name: &'f str) -> impl Iterator<Item = &'f str> {
    fields
        .iter()
        .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// A connection with what was read of it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) buffer: Vec<u8>,
    /// How the peer ended its direction: `closed`, `reset`.
    pub(crate) ended: Option<String>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            stream: Arc::new(stream),
            buffer: Vec::new(),
            ended: None,
        }
    }

    pub(crate) async fn connect(port: u16) -> std::io::Result<Self> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .map(Self::new)
    }

    /// Reads once more; false when the peer has ended.
    pub(crate) async fn more(&mut self) -> bool {
        let mut piece = vec![0; 65536];
        while self.ended.is_none() {
            let _ = self.stream.readable().await;
            match self.stream.try_read(&mut piece) {
                Ok(0) => self.ended = Some("closed".to_owned()),
                Ok(length) => {
                    self.buffer.extend_from_slice(&piece[..length]);
                    return true;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    self.ended = Some("reset".to_owned());
                }
                Err(error) => self.ended = Some(error.to_string()),
            }
        }
        false
    }

    fn ended(&self) -> &str {
        self.ended.as_deref().unwrap_or("open")
    }

    pub(crate) async fn line(&mut self) -> Read<Vec<u8>> {
        let mut searched = 0;
        let end = loop {
            let found = self.buffer[searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            if let Some(at) = found {
                break searched + at;
            }
            searched = self.buffer.len();
            if searched > 65536 {
                return Err(Trouble::Protocol("line longer than 64 KiB".to_owned()));
            }
            if !self.more().await {
                return Err(Trouble::Ended(format!(
                    "{} after {} bytes of a line",
                    self.ended(),
                    self.buffer.len()
                )));
            }
        };
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        if !line.ends_with(b"\r\n") {
            return Err(Trouble::Protocol(format!(
                "line without CR LF: '{}'",
                text(&line)
            )));
        }
        line.truncate(line.len() - 2);
        Ok(line)
    }

    pub(crate) async fn take(&mut self, mut length: u64, body: &mut Body) -> Read<()> {
        while length > 0 {
            if self.buffer.is_empty() && !self.more().await {
                return Err(Trouble::Ended(format!(
                    "{} with {length} bytes missing",
                    self.ended()
                )));
            }
            let piece = usize::try_from(length)
                .map_or(self.buffer.len(), |length| length.min(self.buffer.len()));
            body.add(&self.buffer[..piece]);
            self.buffer.drain(..piece);
            length -= piece as u64;
        }
        Ok(())
    }

    /// What comes until the peer closes.
    pub(crate) async fn take_all(&mut self, body: &mut Body) -> Read<()> {
        while !self.buffer.is_empty() || self.more().await {
            body.add(&self.buffer);
            self.buffer.clear();
        }
        match self.ended() {
            "closed" => Ok(()),
            other => Err(Trouble::Ended(other.to_owned())),
        }
    }

    /// Field lines up to the empty line.
    pub(crate) async fn fields(&mut self) -> Read<Fields> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(fields);
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let name = colon
                .map(|colon| &line[..colon])
                .filter(|name| is_token(name));
            let (Some(colon), Some(name)) = (colon, name) else {
                return Err(Trouble::Protocol(format!(
                    "bad field line '{}'",
                    text(&line)
                )));
            };
            let value = text(&line[colon + 1..]);
            let value = value.trim_matches([' ', '\t']);
            if value
                .chars()
                .any(|c| matches!(c, '\0'..='\x08' | '\x0a'..='\x1f' | '\x7f'))
            {
                let line = text(&line);
                return Err(Trouble::Protocol(format!(
                    "control character in field line '{line}'"
                )));
            }
            fields.push((text(name), value.to_owned()));
        }
    }

    pub(crate) async fn chunked(&mut self, body: &mut Body) -> Read<Fields> {
        loop {
            let line = text(&self.line().await?);
            let (size, extension) = line.split_once([' ', '\t', ';']).unwrap_or((&line, ""));
            let size = match u64::from_str_radix(size, 16) {
                Ok(length) if !size.starts_with('+') => length,
                _ => {
                    return Err(Trouble::Protocol(format!(
                        "bad chunk size line '{line}{extension}'"
                    )));
                }
            };
            if size == 0 {
                return self.fields().await;
            }
            self.take(size, body).await?;
            let mut end = Body::default();
            self.take(2, &mut end).await?;
            if end.content != b"\r\n" {
                return Err(Trouble::Protocol(
                    "chunk data not followed by CR LF".to_owned(),
                ));
            }
        }
    }

    pub(crate) async fn send(&self, data: &[u8]) -> std::io::Result<()> {
        send(&self.stream, data).await
    }

    /// Closes with a reset instead of an end of stream.
    pub(crate) fn reset(&self) {
        let _ =
            rustix::net::sockopt::set_socket_linger(&*self.stream, Some(std::time::Duration::ZERO));
    }
}

pub(crate) async fn send(stream: &TcpStream, mut data: &[u8]) -> std::io::Result<()> {
    while !data.is_empty() {
        stream.writable().await?;
        match stream.try_write(data) {
            Ok(length) => data = &data[length..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the fields say of the body.
pub(crate) fn framing(fields: &Fields) -> Read<Framing> {
    let codings: Vec<_> = lines_of(fields, "Transfer-Encoding").collect();
    let lengths: Vec<_> = lines_of(fields, "Content-Length").collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (&*codings, &*lengths) {
        ([], []) => Ok(Framing::Unsaid),
        ([one], []) if one.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        ([], [one]) if is_number(one) => Ok(Framing::Length(one.parse().unwrap())),
        ([], _) => Err(Trouble::Protocol(format!("Content-Length {lengths:?}"))),
        (_, []) => Err(Trouble::Protocol(format!("Transfer-Encoding {codings:?}"))),
        _ => Err(Trouble::Protocol(
            "both Transfer-Encoding and Content-Length".to_owned(),
        )),
    }
}

pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
