//! What a program holds of an exchange, and the memory that it is given pointers to.

use std::ffi::CString;
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use ostler_target::{RequestInfo, TlsInfo};

use crate::abi::memory::Field;
use crate::exchange::Exchange;

/// An exchange that a program holds, and the memory that it was given pointers to.
#[derive(Debug)]
pub(super) struct HeldExchange {
    pub(super) exchange: Arc<Exchange>,
    /// Its queue's handle.
    pub(super) queue: u64,
    pub(super) request: OnceLock<View>,
    pub(super) trailers: OnceLock<(HeaderMap, Fields)>,
}

impl HeldExchange {
    pub(super) fn new(exchange: &Arc<Exchange>, queue: u64) -> Arc<Self> {
        Arc::new(Self {
            exchange: Arc::clone(exchange),
            queue,
            request: OnceLock::new(),
            trailers: OnceLock::new(),
        })
    }

    /// It is closed: the program hears no more of it.
    pub(super) fn close(&self) {
        self.exchange.close();
    }
}

/// Fields that point into a map that lives as long as they do.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Vec<Field>);

// SAFETY: they point to bytes that nobody changes, and whoever holds these holds the bytes too.
unsafe impl Send for Fields {}
// SAFETY: as above.
unsafe impl Sync for Fields {}

impl Fields {
    pub(super) fn of(map: &HeaderMap) -> Self {
        let field = |(name, value): (&HeaderName, &HeaderValue)| Field {
            name: name.as_str().as_ptr().cast(),
            name_length: name.as_str().len(),
            value: value.as_bytes().as_ptr().cast(),
            value_length: value.len(),
        };
        Self(map.iter().map(field).collect())
    }
}

/// Texts that a request's record points to, beside those that the exchange has.
#[derive(Debug)]
pub(super) struct View {
    pub(super) method: CString,
    pub(super) target: CString,
    pub(super) client: Option<CString>,
    pub(super) local: Option<CString>,
    pub(super) server_name: Option<CString>,
    pub(super) fields: Fields,
}

impl View {
    pub(super) fn of(exchange: &Exchange) -> Self {
        let info = exchange.info();
        let address =
            |address: Option<std::net::SocketAddr>| address.map(|it| text(it.to_string()));
        let tls = info.and_then(RequestInfo::tls);
        Self {
            method: text(exchange.request().method.as_str()),
            target: text(exchange.target()),
            client: address(info.and_then(RequestInfo::client_address)),
            local: address(info.and_then(RequestInfo::local_address)),
            server_name: tls.and_then(TlsInfo::server_name).map(text),
            fields: Fields::of(&exchange.request().headers),
        }
    }
}

/// What HTTP allows in these texts has no zero in it.
fn text(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).unwrap_or_default()
}
