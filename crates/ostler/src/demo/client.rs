//! Clients of the demo's own, so that it needs no other program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// A keep-alive connection.
#[derive(Debug)]
pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

/// A response whose body had a length.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(super) fn connect(port: u16) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(("127.0.0.1", port)).context("cannot connect to the front")?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self {
            stream: BufReader::with_capacity(256 * 1024, stream),
        })
    }

    pub(super) fn local_address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.stream.get_ref().local_addr()?)
    }

    pub(super) fn request(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        let (status, length) = self.ask(method, path, body)?;
        let mut body = vec![0; usize::try_from(length)?];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body })
    }

    /// Sends the request and reads the head of the response; gives the length of its body.
    pub(super) fn begin_download(&mut self, path: &str) -> anyhow::Result<u64> {
        let (status, length) = self.ask("GET", path, b"")?;
        ensure!(status == 200, "status {status}");
        Ok(length)
    }

    /// Reads a body of this length to its end and counts it.
    pub(super) fn finish_download(&mut self, length: u64) -> anyhow::Result<u64> {
        let mut left = length;
        while left > 0 {
            let buffered = self.stream.fill_buf()?.len();
            ensure!(buffered > 0, "the connection ended {left} bytes early");
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(buffered);
            self.stream.consume(taken);
            left -= taken as u64;
        }
        Ok(length)
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<(u16, u64)> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
        if !body.is_empty() {
            write!(request, "Content-Length: {}\r\n", body.len())?;
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)?;
        let (status, fields) = read_head(&mut self.stream)?;
        let length = fields
            .iter()
            .find_map(|field| field.strip_prefix("content-length:"));
        let length = length
            .context("the response has no length")?
            .trim()
            .parse()?;
        Ok((status, length))
    }
}

/// Status, and the field lines in lower case.
fn read_head(stream: &mut impl BufRead) -> anyhow::Result<(u16, Vec<String>)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("the response began with {line:?}"))?;
    let mut fields = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        match line.trim_end() {
            "" => return Ok((status, fields)),
            field => fields.push(field.to_ascii_lowercase()),
        }
    }
}

/// A WebSocket that sends short texts and reads them back (RFC 6455).
#[derive(Debug)]
pub(super) struct WebSocket {
    stream: BufReader<TcpStream>,
}

impl WebSocket {
    pub(super) fn connect(port: u16, path: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut stream = BufReader::new(stream);
        write!(
            stream.get_mut(),
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )?;
        match read_head(&mut stream)?.0 {
            101 => Ok(Self { stream }),
            status => bail!("the WebSocket was answered {status}"),
        }
    }

    /// Sends a text of up to 125 bytes and reads the one that comes back.
    pub(super) fn echo(&mut self, text: &str) -> anyhow::Result<String> {
        const FINAL_TEXT: u8 = 0x81;
        const MASKED: u8 = 0x80;
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 126);
        let length = length.context("the text is too long")?;
        // A mask of zeros leaves the text as it is.
        let mut frame = vec![FINAL_TEXT, MASKED | length, 0, 0, 0, 0];
        frame.extend_from_slice(text.as_bytes());
        self.stream.get_mut().write_all(&frame)?;
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        ensure!(head == [FINAL_TEXT, length], "a frame began with {head:?}");
        let mut back = vec![0; usize::from(length)];
        self.stream.read_exact(&mut back)?;
        Ok(String::from_utf8(back)?)
    }
}
