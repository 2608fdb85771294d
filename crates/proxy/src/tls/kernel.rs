//! Moving a session into the kernel, so that its socket can be handed to a target: from then on
//! whoever holds the socket reads and writes plain bytes that are records on the wire.
//!
//! The one rule is that no byte is ever sent in clear text. So the order is: everything that can be
//! looked at is looked at, while the session still works; the socket is made ready, which changes
//! nothing yet; the keys leave the session, which is spent by that; the kernel takes those for
//! sending before those for receiving. A failure before the keys leave leaves the session as it was;
//! one after that ends the connection, with nothing sent.

use std::io::{self, BufRead};
use std::os::fd::BorrowedFd;

use ostler_shm::kernel_tls::{
    KernelTls, KernelTlsCipher, KernelTlsError, KernelTlsKeys, KernelTlsVersion, enable,
    install_rx, install_tx,
};
use rustls::{
    CipherSuite, ConnectionTrafficSecrets, ProtocolVersion, ServerConnection, SupportedCipherSuite,
};

/// What became of a session.
#[derive(Debug)]
pub(crate) enum ToKernel<S> {
    /// The kernel has it.
    Moved,
    /// It is as it was.
    Stays(S, Stays),
    /// It is spent, and the kernel does not have it: the connection is to be closed, and nothing
    /// sent before.
    Spent(SpentError),
}

/// Why a session stays in this process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stays {
    /// Not now; perhaps by the next request.
    #[error("{0}")]
    NotNow(&'static str),
    /// The kernel takes no session like this one.
    #[error("the kernel takes no sessions of {0:?}")]
    Cipher(Option<CipherSuite>),
    /// The socket does not do TLS.
    #[error(transparent)]
    NotOffered(KernelTlsError),
}

/// Why a session is lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpentError {
    #[error("a session does not give its keys away")]
    Secrets(#[source] rustls::Error),
    #[error("a session's keys are none that the kernel knows")]
    Cipher,
    #[error("the kernel does not take a session's keys")]
    Kernel(#[from] KernelTlsError),
    #[error("the socket cannot be waited for")]
    Socket(#[source] io::Error),
}

/// Moves a session whose handshake was configured with `enable_secret_extraction`. Everything it
/// decrypted has been taken out of it, and the socket's next byte begins a record.
pub(crate) fn to_kernel(
    mut session: Box<ServerConnection>,
    socket: BorrowedFd<'_>,
    offered: KernelTls,
) -> ToKernel<Box<ServerConnection>> {
    let version = match can_move(&mut session, offered) {
        Ok(version) => version,
        Err(stays) => return ToKernel::Stays(session, stays),
    };
    if let Err(error) = enable(socket) {
        return ToKernel::Stays(session, Stays::NotOffered(error));
    }
    match install(*session, version, socket) {
        Ok(()) => ToKernel::Moved,
        Err(error) => ToKernel::Spent(error),
    }
}

/// Whether the session has nothing of its own to do, and the kernel can go on with it.
fn can_move(session: &mut ServerConnection, offered: KernelTls) -> Result<KernelTlsVersion, Stays> {
    if session.is_handshaking() {
        return Err(Stays::NotNow("the handshake is not over"));
    }
    if session.wants_write() {
        return Err(Stays::NotNow("records are still to be sent"));
    }
    match session.reader().fill_buf() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Ok([]) | Err(_) => return Err(Stays::NotNow("the client has ended its stream")),
        Ok(_) => return Err(Stays::NotNow("what was decrypted is not taken out")),
    }
    let suite = session.negotiated_cipher_suite();
    let number = suite.map(|suite| suite.suite());
    match (version_of(session), suite.and_then(cipher_of)) {
        (Some(version), Some(cipher)) if offered.offers(version, cipher) => Ok(version),
        _ => Err(Stays::Cipher(number)),
    }
}

fn version_of(session: &ServerConnection) -> Option<KernelTlsVersion> {
    match session.protocol_version()? {
        ProtocolVersion::TLSv1_2 => Some(KernelTlsVersion::Tls12),
        ProtocolVersion::TLSv1_3 => Some(KernelTlsVersion::Tls13),
        _ => None,
    }
}

fn cipher_of(suite: SupportedCipherSuite) -> Option<KernelTlsCipher> {
    use CipherSuite as S;
    match suite.suite() {
        S::TLS13_AES_128_GCM_SHA256
        | S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Some(KernelTlsCipher::Aes128Gcm),
        S::TLS13_AES_256_GCM_SHA384
        | S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Some(KernelTlsCipher::Aes256Gcm),
        S::TLS13_CHACHA20_POLY1305_SHA256
        | S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Some(KernelTlsCipher::ChaCha20Poly1305),
        _ => None,
    }
}

/// The point of no return.
fn install(
    session: ServerConnection,
    version: KernelTlsVersion,
    socket: BorrowedFd<'_>,
) -> Result<(), SpentError> {
    let secrets = session
        .dangerous_extract_secrets()
        .map_err(SpentError::Secrets)?;
    install_tx(socket, &keys(version, secrets.tx.0, &secrets.tx.1)?)?;
    install_rx(socket, &keys(version, secrets.rx.0, &secrets.rx.1)?)?;
    Ok(())
}

fn keys(
    version: KernelTlsVersion,
    sequence: u64,
    secrets: &ConnectionTrafficSecrets,
) -> Result<KernelTlsKeys<'_>, SpentError> {
    let (cipher, key, iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (KernelTlsCipher::Aes128Gcm, key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (KernelTlsCipher::Aes256Gcm, key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
            (KernelTlsCipher::ChaCha20Poly1305, key, iv)
        }
        _ => return Err(SpentError::Cipher),
    };
    let mut iv: [u8; 12] = iv.as_ref().try_into().map_err(|_| SpentError::Cipher)?;
    if version == KernelTlsVersion::Tls12 && cipher != KernelTlsCipher::ChaCha20Poly1305 {
        // Each record carries eight bytes of its nonce, which must be new with each (RFC 5288
        // section 3). rustls makes them from what stands in `iv` by XOR with the record's number;
        // the kernel counts up from what it is given. Given the same, it would repeat the first
        // record's. With the highest bit turned over it is given one that rustls would come to only
        // after 2^63 records, and counts through as many before it comes to one of rustls'.
        iv[4] ^= 0x80;
    }
    let key = key.as_ref();
    Ok(KernelTlsKeys {
        version,
        cipher,
        key,
        iv,
        sequence,
    })
}

#[cfg(test)]
mod tests;
