//! A raw HTTP/1.1 client: sends exactly the bytes it is given, reads responses strictly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::PATIENCE;

/// A connection.
pub(crate) struct Client<S = TcpStream> {
    stream: BufReader<S>,
}

/// A response, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case, in order.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The process that answered, from the sample target's `/`.
    pub(crate) fn pid(&self) -> u32 {
        let text = self.text();
        text.rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap_or_else(|_| panic!("no pid in {text:?}"))
    }
}

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
        }
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.get_ref().local_addr().unwrap()
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    pub(crate) fn shutdown_write(&self) {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    }
}

impl<S: Read + Write> Client<S> {
    /// Over whatever this is.
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
        }
    }

    /// What it spoke over, with nothing read from it yet.
    pub(crate) fn into_stream(self) -> S {
        self.stream.into_inner()
    }

    /// What it speaks over.
    pub(crate) fn stream(&mut self) -> &mut S {
        self.stream.get_mut()
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Sends bytes if the other end still takes them.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Sends a request without body and reads its response.
    pub(crate) fn ask(&mut self, method: &str, path: &str) -> Response {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        if method == "HEAD" {
            self.head_response()
        } else {
            self.response()
        }
    }

    /// Sends a request with a body and reads its response.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Response {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n"
        ));
        self.send(body);
        self.response()
    }

    /// Reads a response to a request that was not HEAD.
    pub(crate) fn response(&mut self) -> Response {
        self.try_response()
            .unwrap_or_else(|error| panic!("no response: {error}"))
    }

    pub(crate) fn try_response(&mut self) -> std::io::Result<Response> {
        let (status, fields) = self.try_head()?;
        let mut response = Response {
            status,
            fields,
            body: Vec::new(),
        };
        let interim = (100..200).contains(&status);
        if interim || status == 204 || status == 304 {
            return Ok(response);
        }
        if let Some(coding) = response.field("transfer-encoding") {
            assert_eq!(coding, "chunked");
            assert_eq!(response.field("content-length"), None);
            response.body = self.chunks()?;
        } else if let Some(length) = response.field("content-length") {
            response.body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut response.body)?;
        } else {
            self.stream.read_to_end(&mut response.body)?;
        }
        Ok(response)
    }

    /// Reads the response to a HEAD request.
    pub(crate) fn head_response(&mut self) -> Response {
        let (status, fields) = self.try_head().unwrap();
        Response {
            status,
            fields,
            body: Vec::new(),
        }
    }

    /// Reads a response's head and leaves its body unread.
    pub(crate) fn try_head(&mut self) -> std::io::Result<(u16, Vec<(String, String)>)> {
        let line = self.line()?;
        let mut words = line.splitn(3, ' ');
        assert!(
            matches!(words.next(), Some("HTTP/1.1" | "HTTP/1.0")),
            "status line {line:?}"
        );
        let status = words.next().and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("status line {line:?}"));
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, fields));
            }
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("field line {line:?}"));
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn chunks(&mut self) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size =
                u64::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("chunk line {line:?}"));
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            let start = body.len();
            body.resize(start + size as usize, 0);
            self.stream.read_exact(&mut body[start..])?;
            assert_eq!(self.line()?, "");
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        Ok(line
            .strip_suffix("\r\n")
            .unwrap_or_else(|| panic!("line {line:?}"))
            .to_owned())
    }

    /// Reads up to so many bytes, fewer only at the end.
    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream
            .by_ref()
            .take(count as u64)
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    /// Everything up to the end of the stream; a reset counts as the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    /// Whether the other end has closed, with nothing more to say.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
