//! TLS from clients: certificates, what is said to whom (SNI), and the session that encrypts a connection
//! after the handshake. Bytes in, bytes out: which files they come from is not known here.

mod certificate;
mod endpoint;
mod facts;
mod kernel;
mod kernel_socket;
mod records;
mod session;

pub use certificate::{Certificate, CertificateError, authorities};
pub use endpoint::{TlsEndpoint, TlsHostOptions, TlsOptions, TlsSetupError};
pub(crate) use facts::{Claimed, ClientFacts, TlsFacts};
pub(crate) use kernel::{SpentError, Stays, ToKernel};
pub(crate) use kernel_socket::KernelSocket;
pub(crate) use records::Followed;
#[cfg(fuzzing)]
pub(crate) use records::RecordBoundary;
pub(crate) use session::TlsSession;
