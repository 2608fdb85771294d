//! What Python calls of a WebSocket.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use pyo3::{intern, pyclass, pymethods};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Close, Phase, WebSocket};
use crate::exchange::{Content, PyHttpExchange, gone};
use crate::from_python::{bytes_of, fields_of};

/// Most bytes of a close frame's reason (RFC 6455 section 5.5).
const LONGEST_REASON: usize = 123;

/// A request for a WebSocket, and the conversation that it becomes.
#[pyclass(frozen, name = "WebSocket", module = "ostler._ostler")]
#[derive(Debug)]
pub(crate) struct PyWebSocket(pub(crate) Arc<WebSocket>);

/// What there is for an application that wants to know what came.
enum Received {
    Connect,
    Message(Message),
    Disconnect(Close),
}

#[pymethods]
impl PyWebSocket {
    /// The exchange to refuse it by with a response.
    #[getter]
    fn exchange(&self) -> PyHttpExchange {
        PyHttpExchange(Arc::clone(&self.0.exchange))
    }

    /// What has come: an ASGI message, or `None` if one has to wait.
    fn receive<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(received) = self.0.take() else {
            return Ok(None);
        };
        let message = PyDict::new(py);
        let kind = intern!(py, "type");
        match received {
            Received::Connect => message.set_item(kind, intern!(py, "websocket.connect"))?,
            Received::Message(Message::Text(text)) => {
                message.set_item(kind, intern!(py, "websocket.receive"))?;
                message.set_item(intern!(py, "text"), text.as_str())?;
            }
            Received::Message(data) => {
                message.set_item(kind, intern!(py, "websocket.receive"))?;
                let data = PyBytes::new(py, &data.into_data());
                message.set_item(intern!(py, "bytes"), data)?;
            }
            Received::Disconnect(close) => {
                message.set_item(kind, intern!(py, "websocket.disconnect"))?;
                message.set_item(intern!(py, "code"), close.code)?;
                message.set_item(intern!(py, "reason"), close.reason)?;
            }
        }
        Ok(Some(message))
    }

    /// Resolves a future when there is something to receive; false when there is now.
    fn wait_to_receive(&self, future: Py<PyAny>) -> bool {
        let mut state = self.0.lock();
        let has_news = !state.told_connect
            || !state.incoming.queue.is_empty()
            || matches!(state.phase, Phase::Closed(_));
        if !has_news {
            state.waiting.push(future);
        }
        !has_news
    }

    /// Resolves a future when the client has taken enough; false when it has.
    fn wait_to_send(&self, future: Py<PyAny>) -> bool {
        let mut state = self.0.lock();
        let waits = state.outgoing.is_full() && !matches!(state.phase, Phase::Closed(_));
        if waits {
            state.waiting.push(future);
        }
        waits
    }

    /// Accepts the client.
    fn accept(&self, subprotocol: Option<&str>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut fields = fields_of(headers)?;
        if let Some(subprotocol) = subprotocol {
            let value = HeaderValue::from_str(subprotocol)
                .map_err(|_| PyValueError::new_err("not a subprotocol's name"))?;
            fields.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
        }
        let fields = self.0.accepted(fields);
        self.0.respond(StatusCode::SWITCHING_PROTOCOLS, fields)
    }

    /// Refuses the client with a response that `exchange` is given: nothing else can be said then.
    fn deny(&self) -> PyResult<()> {
        let mut state = self.0.lock();
        if state.phase != Phase::Connecting {
            return Err(PyRuntimeError::new_err("the WebSocket has been answered"));
        }
        state.phase = Phase::Answered;
        Ok(())
    }

    /// Sends a message, text or bytes; true when one should wait before one sends more.
    fn send(&self, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let message = match data.cast::<PyString>() {
            Ok(text) => Message::text(text.to_str()?),
            Err(_) => Message::Binary(bytes_of(data)?),
        };
        let mut state = self.0.lock();
        match state.phase {
            Phase::Connecting => {
                let text = "the WebSocket has not been accepted";
                return Err(PyRuntimeError::new_err(text));
            }
            Phase::Answered => {}
            Phase::Closing(_) => {
                return Err(PyRuntimeError::new_err("the WebSocket has been closed"));
            }
            Phase::Closed(_) => return Err(gone()),
        }
        state.outgoing.push(message);
        let is_full = state.outgoing.is_full();
        let task = state.writer.take();
        drop(state);
        self.0.wake(task);
        Ok(is_full)
    }

    /// Closes it, or refuses it with 403 where it has not been accepted.
    fn close(&self, code: u16, reason: &str) -> PyResult<()> {
        if !CloseCode::from(code).is_allowed() {
            let text = format!("not a code to close a WebSocket by: {code}");
            return Err(PyValueError::new_err(text));
        }
        if reason.len() > LONGEST_REASON {
            let text = format!("the reason is longer than {LONGEST_REASON} bytes");
            return Err(PyValueError::new_err(text));
        }
        let mut state = self.0.lock();
        match state.phase {
            Phase::Connecting => {
                drop(state);
                return self.0.respond(StatusCode::FORBIDDEN, HeaderMap::new());
            }
            Phase::Answered => state.phase = Phase::Closing(Close::new(code, reason)),
            Phase::Closing(_) => {
                return Err(PyRuntimeError::new_err("the WebSocket has been closed"));
            }
            Phase::Closed(_) => return Ok(()),
        }
        let task = state.writer.take();
        drop(state);
        self.0.wake(task);
        Ok(())
    }

    /// The application has ended: refuses what it has not answered, closes what it has left open.
    fn finish(&self, failed: bool) -> PyResult<()> {
        let state = self.0.lock();
        match state.phase {
            Phase::Connecting => {
                drop(state);
                let status = match failed {
                    true => StatusCode::INTERNAL_SERVER_ERROR,
                    false => StatusCode::FORBIDDEN,
                };
                match self.0.exchange.is_over() {
                    true => Ok(()),
                    false => self.0.respond(status, HeaderMap::new()),
                }
            }
            Phase::Answered => {
                drop(state);
                self.close(if failed { 1011 } else { 1000 }, "")
            }
            Phase::Closing(_) | Phase::Closed(_) => Ok(()),
        }
    }
}

impl WebSocket {
    fn respond(&self, status: StatusCode, fields: HeaderMap) -> PyResult<()> {
        let mut state = self.lock();
        match state.phase {
            Phase::Connecting => state.phase = Phase::Answered,
            Phase::Closed(_) => return Err(gone()),
            _ => return Err(PyRuntimeError::new_err("the WebSocket has been answered")),
        }
        drop(state);
        let mut response = http::Response::new(Content::Whole(Bytes::new()));
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        self.exchange.answer(response)
    }

    fn take(&self) -> Option<Received> {
        let mut state = self.lock();
        if !state.told_connect {
            state.told_connect = true;
            return Some(Received::Connect);
        }
        let was_full = state.incoming.is_full();
        if let Some(message) = state.incoming.pop() {
            let task = (was_full && !state.incoming.is_full())
                .then(|| state.reader.take())
                .flatten();
            drop(state);
            self.wake(task);
            return Some(Received::Message(message));
        }
        match &state.phase {
            Phase::Closed(close) => Some(Received::Disconnect(close.clone())),
            _ => None,
        }
    }
}
