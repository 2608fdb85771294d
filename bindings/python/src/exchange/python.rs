//! What Python calls of an exchange.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use pyo3::{intern, pyclass, pymethods};

use super::incoming::{Progress, Received, joined};
use super::outgoing::{Head, Outgoing};
use super::waiting::sleep;
use super::{HttpExchange, gone};
use crate::file::FilePart;
use crate::from_python::{bytes_of, fields_of, status_of};

/// A request that an application answers.
#[pyclass(frozen, name = "HttpExchange", module = "ostler._ostler")]
#[derive(Debug)]
pub(crate) struct PyHttpExchange(pub(crate) Arc<HttpExchange>);

#[pymethods]
impl PyHttpExchange {
    /// What has come of the request: an ASGI message, or `None` if one has to wait.
    fn receive<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let (pieces, more) = match self.0.take_body() {
            Received::Body { pieces, more } => (pieces, more),
            Received::NotYet => return Ok(None),
            Received::Nothing => {
                let message = PyDict::new(py);
                message.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?;
                return Ok(Some(message));
            }
        };
        let message = PyDict::new(py);
        message.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
        message.set_item(intern!(py, "body"), joined(py, &pieces)?)?;
        message.set_item(intern!(py, "more_body"), more)?;
        Ok(Some(message))
    }

    /// Resolves a future when there is something to receive; false when there is now.
    fn wait_to_receive(&self, future: Py<PyAny>) -> bool {
        let mut state = self.0.lock();
        if state.over || state.incoming.has_news() {
            return false;
        }
        state.waiting.push(future);
        true
    }

    /// Resolves a future when the client has taken enough of the response; false when it has.
    fn wait_to_send(&self, future: Py<PyAny>) -> bool {
        let mut state = self.0.lock();
        if state.over || !state.outgoing.is_full() {
            return false;
        }
        state.waiting.push(future);
        true
    }

    /// Begins the response; nothing is sent before the first of its body or `flush`.
    #[pyo3(signature = (status, headers, trailers = false))]
    fn start(&self, status: u16, headers: &Bound<'_, PyAny>, trailers: bool) -> PyResult<()> {
        let head = Head {
            status: status_of(status)?,
            fields: fields_of(headers)?,
            trailers,
        };
        let mut state = self.0.lock();
        state.bodiless |= matches!(head.status.as_u16(), 204 | 205 | 304);
        if !matches!(state.outgoing, Outgoing::Expected) {
            return Err(PyRuntimeError::new_err("the response has been started"));
        }
        if state.over {
            return Err(gone());
        }
        state.outgoing = Outgoing::Head(head);
        Ok(())
    }

    /// Sends the response's head if the body has not begun.
    fn flush(&self) {
        let mut state = self.0.lock();
        if !state.over && state.outgoing.flush() {
            self.0.wake(state);
        }
    }

    /// Gives a piece of the body; true when one should wait before one gives more.
    fn body(&self, data: &Bound<'_, PyAny>, more: bool) -> PyResult<bool> {
        self.0.push(bytes_of(data)?, more)
    }

    /// Gives fields that stand behind the body; the last of them end the response.
    fn trailers(&self, headers: &Bound<'_, PyAny>, more: bool) -> PyResult<()> {
        let fields = fields_of(headers)?;
        let mut state = self.0.lock();
        if state.over {
            return Err(gone());
        }
        state.outgoing.trailers(fields, more)?;
        self.0.wake(state);
        Ok(())
    }

    /// Sends a file, or a part of it, as the whole body.
    #[pyo3(signature = (path, offset = 0, length = None))]
    fn file(&self, path: PathBuf, offset: u64, length: Option<u64>) -> PyResult<()> {
        let file = FilePart::open(&path, offset, length)?;
        let mut state = self.0.lock();
        if state.over {
            return Err(gone());
        }
        state.outgoing.file(file)?;
        self.0.wake(state);
        Ok(())
    }

    /// The application has ended without a whole response: answers for it, or lets the client see that the
    /// response is not whole.
    fn fail(&self) {
        let mut state = self.0.lock();
        let status = match state.incoming.progress {
            Progress::Broken => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        state.outgoing.fail(status);
        self.0.wake(state);
    }

    /// Whether the response has been begun, whether it has been given whole, and whether the exchange is over.
    fn progress(&self) -> (bool, bool, bool) {
        let state = self.0.lock();
        let (begun, whole) = state.outgoing.progress();
        (begun, whole, state.over)
    }

    /// Waits for more of the request's body; empty when all of it has been read.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let received = py.detach(|| {
            loop {
                match self.0.take_body() {
                    Received::NotYet => {}
                    received => return received,
                }
                let mut state = self.0.lock();
                if state.over || state.incoming.has_news() {
                    // It has come meanwhile.
                    continue;
                }
                if state.incoming.progress == Progress::Whole {
                    return Received::Body {
                        pieces: [].into(),
                        more: false,
                    };
                }
                state = sleep(&self.0.changed, state);
                drop(state);
            }
        });
        match received {
            Received::Body { pieces, .. } => joined(py, &pieces),
            Received::Nothing | Received::NotYet => Err(gone()),
        }
    }

    /// Whether the request's body has arrived whole.
    fn has_whole_body(&self) -> bool {
        self.0.lock().incoming.progress == Progress::Whole
    }

    /// Gives a piece of the body and waits until the client has taken enough.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>, more: bool) -> PyResult<()> {
        if self.0.push(bytes_of(data)?, more)? {
            py.detach(|| {
                let mut state = self.0.lock();
                while !state.over && state.outgoing.is_full() {
                    state = sleep(&self.0.changed, state);
                }
            });
        }
        Ok(())
    }
}

impl HttpExchange {
    fn push(&self, data: Bytes, more: bool) -> PyResult<bool> {
        let mut state = self.lock();
        if state.over && state.outgoing.is_unfinished() {
            if !state.bodiless && !state.outgoing.is_as_long_as_promised() {
                return Err(gone());
            }
            // The client has everything that it wants.
            state.outgoing.push(Bytes::new(), more)?;
            return Ok(false);
        }
        let is_full = state.outgoing.push(data, more)?;
        self.wake(state);
        Ok(is_full)
    }

    fn take_body(&self) -> Received {
        let mut state = self.lock();
        let had_room = state.incoming.has_room();
        let received = match state.incoming.take() {
            Received::NotYet if state.over => return Received::Nothing,
            received => received,
        };
        state.incoming.wanted = true;
        if !had_room {
            self.wake(state);
        }
        received
    }
}
