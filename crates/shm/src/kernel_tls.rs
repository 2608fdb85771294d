//! TLS records written and read by the kernel on a connected TCP socket (kernel TLS).
//!
//! After a handshake that this module knows nothing of, [`enable`] and [`KernelTlsKeys`] give the
//! traffic keys to the kernel. From then on whoever holds the socket, in whatever process, reads and
//! writes plain bytes that are records on the wire:
//!
//! ```text
//!   enable (TCP_ULP "tls")    install_tx                 install_rx
//!   -----------------------> -------------------------> ----------------------->
//!   bytes are sent as they    what is sent is encrypted;  what is received is
//!   are: send nothing         there is no way back        decrypted
//! ```
//!
//! Layouts and behaviour: the kernel's `include/uapi/linux/tls.h` and `Documentation/networking/tls.rst`.

use std::io::{self, Read, Write};
use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, recv};
use zeroize::Zeroizing;

/// The version of the records, as the kernel names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelTlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// The algorithm that protects the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelTlsCipher {
    /// AES-GCM with a key of 128 bits.
    Aes128Gcm,
    /// AES-GCM with a key of 256 bits.
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305,
}

impl KernelTlsCipher {
    /// Bytes of its key.
    pub const fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];
}

/// One direction's keys.
#[derive(Clone, Copy)]
pub struct KernelTlsKeys<'a> {
    /// The version of the records.
    pub version: KernelTlsVersion,
    /// The algorithm.
    pub cipher: KernelTlsCipher,
    /// The key, [`KernelTlsCipher::key_length`] bytes.
    pub key: &'a [u8],
    /// With TLS 1.3 and with ChaCha20-Poly1305 the static IV, which each record's number is XORed
    /// with (RFC 8446 section 5.3, RFC 7905 section 2). With AES-GCM in TLS 1.2 the four bytes of
    /// the salt and then the explicit nonce of the *next record sent*, from which the kernel counts
    /// up: it must be one that no record has had (RFC 5288 section 3).
    pub iv: [u8; 12],
    /// The number of the next record.
    pub sequence: u64,
}

impl std::fmt::Debug for KernelTlsKeys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelTlsKeys")
            .field("version", &self.version)
            .field("cipher", &self.cipher)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// Kernel TLS is not to be had, or a socket did not take it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelTlsError {
    /// The socket does not become one that can do TLS: the kernel has none (`CONFIG_TLS`, the module
    /// `tls`), or the connection is not established in both directions.
    #[error("the kernel does not offer TLS for the socket")]
    NotOffered(#[source] io::Error),
    /// The kernel does not take keys of this version and cipher.
    #[error("the kernel does not take the keys of {cipher:?} ({version:?})")]
    Keys {
        /// The version.
        version: KernelTlsVersion,
        /// The cipher.
        cipher: KernelTlsCipher,
        /// What setsockopt(2) says.
        source: io::Error,
    },
    /// The key's length is not the cipher's.
    #[error("a key of {length} bytes is none of {cipher:?}")]
    KeyLength {
        /// The cipher.
        cipher: KernelTlsCipher,
        /// The length.
        length: usize,
    },
    /// The trial could not be made.
    #[error("kernel TLS could not be tried out")]
    Trial(#[source] io::Error),
    /// The trial's record was not encrypted, or was not what had been sent.
    #[error("kernel TLS was tried out and does not work: {0}")]
    DoesNotWork(&'static str),
}

/// What this machine's kernel offers, as tried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelTls {
    /// A bit each for a version and cipher.
    offered: u8,
}

impl KernelTls {
    /// Tries it out: for each version and cipher two sockets on the loopback interface are given
    /// keys, and a record must arrive encrypted and be decrypted again. Takes milliseconds and may
    /// make the kernel load modules, so once a process is enough.
    ///
    /// # Errors
    ///
    /// When the kernel does not offer AES-128-GCM in TLS 1.3, which is what everybody has.
    pub fn probe() -> Result<Self, KernelTlsError> {
        try_out(KernelTlsVersion::Tls13, KernelTlsCipher::Aes128Gcm)?;
        let mut offered = 0;
        for version in [KernelTlsVersion::Tls12, KernelTlsVersion::Tls13] {
            for cipher in KernelTlsCipher::ALL {
                if try_out(version, cipher).is_ok() {
                    offered |= bit(version, cipher);
                }
            }
        }
        Ok(Self { offered })
    }

    /// What a kernel without TLS offers.
    pub const fn nothing() -> Self {
        Self { offered: 0 }
    }

    /// Claims to offer everything, untried: for tests of what a false claim leads to.
    #[doc(hidden)]
    pub const fn claimed() -> Self {
        Self { offered: u8::MAX }
    }

    /// Whether records of this version and cipher can be left to the kernel.
    pub fn offers(&self, version: KernelTlsVersion, cipher: KernelTlsCipher) -> bool {
        self.offered & bit(version, cipher) != 0
    }
}

fn bit(version: KernelTlsVersion, cipher: KernelTlsCipher) -> u8 {
    let first = match version {
        KernelTlsVersion::Tls12 => 0,
        KernelTlsVersion::Tls13 => KernelTlsCipher::ALL.len(),
    };
    1 << (first + cipher as usize)
}

/// Makes the socket one that can be given keys. Until [`install_tx`] what is sent is sent as it is,
/// and whoever speaks TLS over the socket may go on doing so.
///
/// # Errors
///
/// [`KernelTlsError::NotOffered`]; the socket is then as it was.
pub fn enable(fd: BorrowedFd<'_>) -> Result<(), KernelTlsError> {
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls").map_err(KernelTlsError::NotOffered)
}

/// From here on what is sent is encrypted.
///
/// # Errors
///
/// When the kernel does not take the keys. What is sent then is *not encrypted*: the caller, whose
/// own keys are spent, ends the connection.
pub fn install_tx(fd: BorrowedFd<'_>, keys: &KernelTlsKeys<'_>) -> Result<(), KernelTlsError> {
    install(fd, libc::TLS_TX, keys)
}

/// From here on what is received is decrypted. The next byte in the socket must be the first one of
/// a record, the one numbered [`KernelTlsKeys::sequence`].
///
/// # Errors
///
/// When the kernel does not take the keys.
pub fn install_rx(fd: BorrowedFd<'_>, keys: &KernelTlsKeys<'_>) -> Result<(), KernelTlsError> {
    install(fd, libc::TLS_RX, keys)
}

fn install(
    fd: BorrowedFd<'_>,
    direction: libc::c_int,
    keys: &KernelTlsKeys<'_>,
) -> Result<(), KernelTlsError> {
    let &KernelTlsKeys {
        version, cipher, ..
    } = keys;
    let info = crypto_info(keys)?;
    set_option(fd, libc::SOL_TLS, direction, &info).map_err(|source| KernelTlsError::Keys {
        version,
        cipher,
        source,
    })
}

/// The kernel's `struct tls12_crypto_info_*`: version and cipher in two bytes each, then IV, key,
/// salt and record number, of which the cipher decides the lengths.
fn crypto_info(keys: &KernelTlsKeys<'_>) -> Result<Zeroizing<Vec<u8>>, KernelTlsError> {
    let cipher = keys.cipher;
    if keys.key.len() != cipher.key_length() {
        let length = keys.key.len();
        return Err(KernelTlsError::KeyLength { cipher, length });
    }
    // `TLS_1_2_VERSION` and `TLS_1_3_VERSION` are the versions on the wire.
    let version: u16 = match keys.version {
        KernelTlsVersion::Tls12 => 0x0303,
        KernelTlsVersion::Tls13 => 0x0304,
    };
    let (number, salt, length) = match cipher {
        KernelTlsCipher::Aes128Gcm => (
            libc::TLS_CIPHER_AES_GCM_128,
            4,
            size_of::<libc::tls12_crypto_info_aes_gcm_128>(),
        ),
        KernelTlsCipher::Aes256Gcm => (
            libc::TLS_CIPHER_AES_GCM_256,
            4,
            size_of::<libc::tls12_crypto_info_aes_gcm_256>(),
        ),
        KernelTlsCipher::ChaCha20Poly1305 => (
            libc::TLS_CIPHER_CHACHA20_POLY1305,
            0,
            size_of::<libc::tls12_crypto_info_chacha20_poly1305>(),
        ),
    };
    let (salt, iv) = keys.iv.split_at(salt);
    // Of its final size at once, so that no copy of the key is left behind by growing.
    let mut info = Zeroizing::new(Vec::with_capacity(length));
    info.extend_from_slice(&version.to_ne_bytes());
    info.extend_from_slice(&number.to_ne_bytes());
    info.extend_from_slice(iv);
    info.extend_from_slice(keys.key);
    info.extend_from_slice(salt);
    info.extend_from_slice(&keys.sequence.to_be_bytes());
    debug_assert_eq!(info.len(), length);
    Ok(info)
}

fn set_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &[u8],
) -> io::Result<()> {
    // SAFETY: the kernel reads `value.len()` bytes of `value` and keeps no pointer to it.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Content types of records (RFC 8446 section 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Alerts (RFC 8446 section 6).
const WARNING: u8 = 1;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;

/// What a client sent that the kernel cannot make sense of, and so ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelTlsReceiveError {
    /// A fatal alert.
    #[error("the client sent the alert {0}")]
    Alert(u8),
    /// A handshake message behind the handshake: new keys (RFC 8446 section 4.6.3), a renegotiation.
    #[error("the client sent a handshake message, which kernel TLS does not support")]
    Handshake,
    /// A record of a type that does not belong here.
    #[error("the client sent a record of type {0}")]
    ContentType(u8),
    /// A record whose protection is broken, or that is none.
    #[error("the client sent a record that cannot be decrypted")]
    Undecryptable,
}

/// [`recv`](crate::recv) from a socket whose records the kernel reads: 0 at the end of the stream
/// or when the client has said that it sends no more (`close_notify`). After that nothing may be
/// received any more.
///
/// # Errors
///
/// `WouldBlock` when no whole record has arrived; `ConnectionAborted` with a
/// [`KernelTlsReceiveError`]; else what recv(2) says.
pub fn recv_kernel_tls(fd: BorrowedFd<'_>, out: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    loop {
        match crate::recv(fd, out, max) {
            // The kernel's word for a record that is no application data, which stays there for
            // whoever asks for its type.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::BADMSG.raw_os_error()) => {
                return Err(aborted(KernelTlsReceiveError::Undecryptable));
            }
            done => return done,
        }
        // A control record holds a few bytes; of application data this takes what fits.
        let mut record = [0; 256];
        let room = max.min(record.len());
        let Some((content_type, length)) = recv_record(fd, &mut record[..room])? else {
            return Ok(0);
        };
        match (content_type, &record[..length]) {
            (APPLICATION_DATA, []) | (ALERT, [_, USER_CANCELED]) => {}
            (APPLICATION_DATA, data) => {
                out.extend_from_slice(data);
                return Ok(length);
            }
            (ALERT, [_, CLOSE_NOTIFY]) => return Ok(0),
            (ALERT, [_, alert]) => return Err(aborted(KernelTlsReceiveError::Alert(*alert))),
            (HANDSHAKE, _) => return Err(aborted(KernelTlsReceiveError::Handshake)),
            (other, _) => return Err(aborted(KernelTlsReceiveError::ContentType(other))),
        }
    }
}

fn aborted(error: KernelTlsReceiveError) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, error)
}

/// The one control message that kernel TLS knows in either direction: a record's type.
#[repr(C)]
struct RecordType {
    header: libc::cmsghdr,
    content_type: u8,
}

impl RecordType {
    fn zeroed() -> Self {
        // SAFETY: integers all, of which zero is a value.
        unsafe { std::mem::zeroed() }
    }
}

/// Receives a record with its type, or a part of it; `None` at the end of the stream.
fn recv_record(fd: BorrowedFd<'_>, record: &mut [u8]) -> io::Result<Option<(u8, usize)>> {
    let mut control = RecordType::zeroed();
    let mut slice = libc::iovec {
        iov_base: record.as_mut_ptr().cast(),
        iov_len: record.len(),
    };
    // SAFETY: integers and pointers, of which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<RecordType>() as _;
    let received = retry_on_intr(|| {
        // SAFETY: `message` points to one slice of `record` and to `control`, all of which live
        // for longer than the call; the lengths are theirs.
        let received =
            unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        usize::try_from(received).map_err(|_negative| last_errno())
    })?;
    if received == 0 && message.msg_controllen == 0 {
        return Ok(None);
    }
    let told = message.msg_controllen >= size_of::<libc::cmsghdr>()
        && control.header.cmsg_level == libc::SOL_TLS
        && control.header.cmsg_type == libc::TLS_GET_RECORD_TYPE;
    if !told {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some((control.content_type, received)))
}

/// Says that nothing more will be sent (`close_notify`, RFC 8446 section 6.1), which tells a client
/// that what it got is all there is.
///
/// To be called when the socket is ready for writing ([`is_writable`]), and before the direction is
/// shut down: records that the kernel has encrypted and had no room for would be cut off by a
/// shutdown. Where there is room this puts them into the stream, and the alert behind them.
///
/// # Errors
///
/// `WouldBlock` when the socket takes nothing now; else what sendmsg(2) says.
pub fn send_close_notify(fd: BorrowedFd<'_>) -> io::Result<()> {
    send_record(fd, ALERT, &[WARNING, CLOSE_NOTIFY])
}

fn send_record(fd: BorrowedFd<'_>, content_type: u8, record: &[u8]) -> io::Result<()> {
    let mut control = RecordType::zeroed();
    control.header.cmsg_level = libc::SOL_TLS;
    control.header.cmsg_type = libc::TLS_SET_RECORD_TYPE;
    control.header.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<u8>()) as _;
    control.content_type = content_type;
    let mut slice = libc::iovec {
        iov_base: record.as_ptr().cast_mut().cast(),
        iov_len: record.len(),
    };
    // SAFETY: integers and pointers, of which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<RecordType>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    retry_on_intr(|| {
        // SAFETY: the kernel reads `record` and `control`, which outlive the call, and writes
        // nothing.
        let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) };
        if sent < 0 { Err(last_errno()) } else { Ok(()) }
    })?;
    Ok(())
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Whether the socket has room for bytes now, a third of its buffer at least, or is broken.
pub fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    let now = Timespec::default();
    matches!(poll(&mut polled, Some(&now)), Ok(1..))
}

/// Sends a record from one socket to another, which looks at the bytes before it decrypts them.
fn try_out(version: KernelTlsVersion, cipher: KernelTlsCipher) -> Result<(), KernelTlsError> {
    const TEXT: &[u8] = b"clear text that must not be seen on the wire";
    /// What a record adds to what it holds: its header, and the tag at the least.
    const ADDED: usize = 5 + 16;
    let trial = KernelTlsError::Trial;
    let (mut sender, mut receiver) = connected().map_err(trial)?;
    let key = [0x5a; 32];
    let keys = KernelTlsKeys {
        version,
        cipher,
        key: &key[..cipher.key_length()],
        iv: [0xa5; 12],
        sequence: 7,
    };
    enable(sender.as_fd())?;
    install_tx(sender.as_fd(), &keys)?;
    sender.write_all(TEXT).map_err(trial)?;
    let mut wire = [0; TEXT.len() + ADDED];
    let flags = RecvFlags::PEEK | RecvFlags::WAITALL;
    let (seen, _) = retry_on_intr(|| recv(&receiver, &mut wire[..], flags))
        .map_err(|error| trial(error.into()))?;
    let wire = &wire[..seen];
    // An application data record (RFC 8446 section 5.2), with nothing of the text in it.
    let begins_as_record = matches!(wire, [APPLICATION_DATA, 3, 3, ..]);
    if !begins_as_record
        || wire
            .windows(4)
            .any(|window| TEXT.windows(4).any(|text| text == window))
    {
        return Err(KernelTlsError::DoesNotWork(
            "what was sent was not encrypted",
        ));
    }
    enable(receiver.as_fd())?;
    install_rx(receiver.as_fd(), &keys)?;
    let mut received = [0; TEXT.len()];
    receiver.read_exact(&mut received).map_err(trial)?;
    if received != TEXT {
        return Err(KernelTlsError::DoesNotWork(
            "what arrived is not what was sent",
        ));
    }
    Ok(())
}

/// Two ends of a connection to this machine itself.
fn connected() -> io::Result<(TcpStream, TcpStream)> {
    const LONGEST: Duration = Duration::from_secs(2);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .or_else(|_no_ipv4| TcpListener::bind((Ipv6Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    let near = TcpStream::connect_timeout(&address, LONGEST)?;
    // Whoever else connects meanwhile is not taken for the other end.
    for _ in 0..16 {
        let (far, peer) = listener.accept()?;
        if peer == near.local_addr()? {
            near.set_write_timeout(Some(LONGEST))?;
            far.set_read_timeout(Some(LONGEST))?;
            return Ok((near, far));
        }
    }
    Err(io::ErrorKind::ConnectionRefused.into())
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests;
