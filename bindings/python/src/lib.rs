//! The native half of the Python package `ostler`: it serves a request queue with `ostler-target` on a thread of
//! its own and gives what arrives to Python, which answers. Reading heads, delimiting bodies, WebSocket frames
//! and all writing to sockets happen on that thread, without the interpreter's lock.

mod environ;
mod exchange;
mod file;
mod from_python;
mod inbox;
mod options;
mod response;
mod scope;
mod server;
mod service;
mod wakers;
mod websocket;

use pyo3::prelude::*;

pyo3::create_exception!(
    _ostler,
    ClientDisconnected,
    pyo3::exceptions::PyOSError,
    "The client is gone, or the exchange is over for another reason: nothing more can be sent."
);
pyo3::create_exception!(
    _ostler,
    QueueError,
    pyo3::exceptions::PyOSError,
    "A request queue cannot be opened or changed."
);

/// What Python imports.
#[pymodule(gil_used = true)]
mod _ostler {
    #[pymodule_export]
    use super::ClientDisconnected;
    #[pymodule_export]
    use super::QueueError;
    #[pymodule_export]
    use crate::exchange::PyHttpExchange;
    #[pymodule_export]
    use crate::server::Server;
    #[pymodule_export]
    use crate::websocket::PyWebSocket;
}

/// A text for errors and logs: an error and what caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
