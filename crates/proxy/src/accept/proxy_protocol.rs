//! The PROXY protocol, versions 1 and 2: what stands before the front says whose connection it is.
//!
//! A parser of our own: it takes exactly the header's bytes from what has arrived, so that the client's
//! own bytes stay in the socket for whoever it is handed to, and it takes them in pieces of any size.
//! The specification is HAProxy's `doc/proxy-protocol.txt`; the sections are its.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use ostler_readiness::readable;
use rustix::net::RecvFlags;
use tokio::io::Interest;

/// Whose connection it is, and where it was meant to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("the connection does not begin with a PROXY header")]
    NotThere,
    #[error("a PROXY header of version 1 is malformed")]
    Line,
    #[error("a PROXY header of version 2 is malformed")]
    Binary,
}

/// Takes a header in.
#[derive(Debug, Default)]
pub(crate) struct HeaderDecoder {
    /// What has arrived of the header, and nothing behind it.
    header: Vec<u8>,
}

/// What has become of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All are the header's, which goes on.
    NeedMore,
    /// The header ended behind so many; `None` where it says nothing of a client, which is then
    /// whoever has connected.
    Complete { taken: usize, ends: Option<Ends> },
}

/// What version 2 begins with (section 2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes up to the addresses of version 2.
const FIXED: usize = 16;
const LINE: &[u8] = b"PROXY ";
/// Bytes of the longest line of version 1, its end included (section 2.1).
const LONGEST_LINE: usize = 107;

impl HeaderDecoder {
    /// Takes what has arrived since the last call.
    pub(crate) fn decode(&mut self, arrived: &[u8]) -> Result<Progress, HeaderError> {
        let mut taken = 0;
        loop {
            let missing = match self.header.first().or(arrived.first()) {
                None => return Ok(Progress::NeedMore),
                Some(b'P') => self.missing_of_line(&arrived[taken..])?,
                Some(b'\r') => self.missing_of_binary()?,
                Some(_) => return Err(HeaderError::NotThere),
            };
            if missing == 0 {
                let ends = self.ends()?;
                return Ok(Progress::Complete { taken, ends });
            }
            let more = missing.min(arrived.len() - taken);
            if more == 0 {
                return Ok(Progress::NeedMore);
            }
            self.header.extend_from_slice(&arrived[taken..taken + more]);
            taken += more;
        }
    }

    /// Bytes that surely belong to the line: up to its end, if that is among `rest`.
    fn missing_of_line(&self, rest: &[u8]) -> Result<usize, HeaderError> {
        let begun = self.header.len().min(LINE.len());
        if self.header[..begun] != LINE[..begun] {
            return Err(HeaderError::NotThere);
        }
        if begun < LINE.len() {
            return Ok(LINE.len() - begun);
        }
        if self.header.ends_with(b"\n") {
            return Ok(0);
        }
        let left = LONGEST_LINE - self.header.len();
        let end = rest.iter().position(|byte| *byte == b'\n');
        match end.map_or(rest.len().max(1), |end| end + 1) {
            more if more <= left => Ok(more),
            _ => Err(HeaderError::Line),
        }
    }

    fn missing_of_binary(&self) -> Result<usize, HeaderError> {
        let begun = self.header.len().min(SIGNATURE.len());
        if self.header[..begun] != SIGNATURE[..begun] {
            return Err(HeaderError::NotThere);
        }
        if let Some(missing) = FIXED.checked_sub(self.header.len()).filter(|n| *n > 0) {
            return Ok(missing);
        }
        let length = u16::from_be_bytes([self.header[14], self.header[15]]);
        Ok(FIXED + usize::from(length) - self.header.len())
    }

    fn ends(&self) -> Result<Option<Ends>, HeaderError> {
        match self.header.strip_prefix(SIGNATURE) {
            Some(rest) => ends_of_binary(rest).ok_or(HeaderError::Binary),
            None => ends_of_line(&self.header).ok_or(HeaderError::Line),
        }
    }
}

/// Section 2.1: `PROXY TCP4 192.0.2.7 198.51.100.1 4711 443`.
fn ends_of_line(line: &[u8]) -> Option<Option<Ends>> {
    let line = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    let line = line.strip_prefix("PROXY ")?;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(None);
    }
    let words: Vec<_> = line.split(' ').collect();
    let [family, client, local, client_port, local_port] = words[..] else {
        return None;
    };
    let ip = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |text: &str| -> Option<u16> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    Some(Some(Ends {
        client: SocketAddr::new(ip(client)?, port(client_port)?),
        local: SocketAddr::new(ip(local)?, port(local_port)?),
    }))
}

/// Section 2.2, behind the signature. What follows the addresses is not looked at.
fn ends_of_binary(rest: &[u8]) -> Option<Option<Ends>> {
    let (&[command, family, _, _], addresses) = rest.split_first_chunk()?;
    match command {
        // LOCAL: the sender speaks for itself.
        0x20 => return Some(None),
        0x21 => {}
        _ => return None,
    }
    match family {
        0x11 => {
            let at: &[u8; 12] = addresses.first_chunk()?;
            let ip = |i: usize| Ipv4Addr::new(at[i], at[i + 1], at[i + 2], at[i + 3]).into();
            Some(Some(ends(ip(0), ip(4), [at[8], at[9], at[10], at[11]])))
        }
        0x21 => {
            let at: &[u8; 36] = addresses.first_chunk()?;
            let ip = |i: usize| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&at[i..i + 16]);
                IpAddr::V6(octets.into())
            };
            Some(Some(ends(ip(0), ip(16), [at[32], at[33], at[34], at[35]])))
        }
        // Nothing that is said of a client by address: unspecified, datagrams, Unix sockets.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Some(None),
        _ => None,
    }
}

fn ends(client: IpAddr, local: IpAddr, ports: [u8; 4]) -> Ends {
    let [client_high, client_low, local_high, local_low] = ports;
    Ends {
        client: SocketAddr::new(client, u16::from_be_bytes([client_high, client_low])),
        local: SocketAddr::new(local, u16::from_be_bytes([local_high, local_low])),
    }
}

/// Reads the header off a connection, and nothing of what follows it.
///
/// # Errors
///
/// When there is none, or it breaks off.
pub(crate) async fn read(socket: &OwnedFd) -> io::Result<Option<Ends>> {
    // A copy of the descriptor, so that the registration ends here and whoever serves has its own.
    let socket = readable(socket.try_clone()?)?;
    let mut decoder = HeaderDecoder::default();
    loop {
        let step = |socket: &OwnedFd| receive(socket.as_fd(), &mut decoder);
        if let Progress::Complete { ends, .. } = socket.async_io(Interest::READABLE, step).await? {
            return Ok(ends);
        }
    }
}

/// Looks at what has arrived, and takes what is the header's.
fn receive(socket: BorrowedFd<'_>, decoder: &mut HeaderDecoder) -> io::Result<Progress> {
    let mut bytes = [0; 512];
    let (look, here) = (RecvFlags::PEEK | RecvFlags::DONTWAIT, RecvFlags::DONTWAIT);
    let (_, arrived) = rustix::net::recv(socket, &mut bytes[..], look)?;
    if arrived == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let progress = decoder.decode(&bytes[..arrived]);
    let progress = progress.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let taken = match progress {
        Progress::NeedMore => arrived,
        Progress::Complete { taken, .. } => taken,
    };
    rustix::net::recv(socket, &mut bytes[..taken], here)?;
    Ok(progress)
}

#[cfg(test)]
mod tests;
