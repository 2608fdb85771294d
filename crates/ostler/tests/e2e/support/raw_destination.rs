//! A destination that a test plays itself: bytes in, bytes out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::{PATIENCE, eventually};

/// A destination of the test's own, which sees the bytes.
pub(crate) struct Destination {
    listener: TcpListener,
}

/// A connection of the front's to a [`Destination`].
pub(crate) struct Incoming {
    pub(crate) stream: BufReader<TcpStream>,
}

/// A request's head: its first line, and its fields in order with names in lower case.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(have, _)| have == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

impl Destination {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener }
    }

    pub(crate) fn authority(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}/", self.authority())
    }

    pub(crate) fn accept(&self) -> Incoming {
        let mut accepted = None;
        eventually("the front connects", || {
            accepted = self.listener.accept().ok();
            accepted.is_some()
        });
        let (stream, _) = accepted.unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Incoming {
            stream: BufReader::new(stream),
        }
    }

    /// Whether the front has opened no connection since the last one was accepted.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.listener.accept().is_err()
    }
}

impl Incoming {
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n")
            .unwrap_or_else(|| panic!("line {line:?}"))
            .to_owned()
    }

    pub(crate) fn head(&mut self) -> Head {
        let line = self.line();
        let mut fields = Vec::new();
        loop {
            let field = self.line();
            if field.is_empty() {
                return Head { line, fields };
            }
            let (name, value) = field
                .split_once(": ")
                .unwrap_or_else(|| panic!("field {field:?}"));
            fields.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Bytes of a chunked body, however they are cut into chunks.
    pub(crate) fn chunked(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let size = usize::from_str_radix(&self.line(), 16).unwrap();
            assert!(
                size > 0,
                "the body ends after {} bytes of {count}",
                bytes.len()
            );
            bytes.extend(self.read(size));
            assert_eq!(self.line(), "");
        }
        bytes
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Everything up to the connection's end; a reset counts as the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
