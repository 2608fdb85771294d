//! How a queue is opened and served, as Python says it.

use std::path::PathBuf;
use std::time::Duration;

use ostler_target::{RequestQueue, RequestQueueMode, Verbosity503};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::{QueueError, chain};

/// What a queue is opened with: the attributes of `ostler.QueueOptions`.
#[derive(Debug, FromPyObject)]
pub(crate) struct QueueOptions {
    mode: String,
    url_prefixes: Vec<String>,
    label: Option<String>,
    limit: Option<u32>,
    verbosity: Option<String>,
    wait_timeout: Option<f64>,
    permissions: Option<u32>,
    runtime_dir: Option<PathBuf>,
    keep_queue: bool,
    trust_fronts: Vec<u32>,
    body_timeout: Option<f64>,
    drain_timeout: Option<f64>,
    send_timeout: Option<f64>,
}

/// How an application is spoken to.
#[derive(Debug, FromPyObject)]
pub(crate) struct ServeOptions {
    pub(crate) root_path: String,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) multiprocess: bool,
    pub(crate) ws_max_size: usize,
    pub(crate) ws_ping_interval: Option<f64>,
    pub(crate) ws_ping_timeout: Option<f64>,
}

/// How WebSockets are spoken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebSocketOptions {
    /// Most bytes of a message.
    pub(crate) max_size: usize,
    /// How often a client is asked for a sign of life, and how long it may take to give one.
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) ping_timeout: Option<Duration>,
}

impl ServeOptions {
    pub(crate) fn websocket(&self) -> PyResult<WebSocketOptions> {
        Ok(WebSocketOptions {
            max_size: self.ws_max_size,
            ping_interval: seconds("ws_ping_interval", self.ws_ping_interval)?,
            ping_timeout: seconds("ws_ping_timeout", self.ws_ping_timeout)?,
        })
    }
}

impl QueueOptions {
    /// Opens the queue of this name.
    pub(crate) fn open(self, name: &str) -> PyResult<RequestQueue> {
        let mut builder = RequestQueue::builder(name)
            .mode(mode_of(&self.mode)?)
            .keep_queue(self.keep_queue);
        for prefix in self.url_prefixes {
            builder = builder.url_prefix(prefix);
        }
        for user in self.trust_fronts {
            builder = builder.trust_front(user);
        }
        if let Some(label) = self.label {
            builder = builder.label(label);
        }
        if let Some(limit) = self.limit {
            builder = builder.limit(limit);
        }
        if let Some(verbosity) = self.verbosity {
            builder = builder.verbosity(verbosity_of(&verbosity)?);
        }
        if let Some(permissions) = self.permissions {
            builder = builder.permissions(permissions);
        }
        if let Some(path) = self.runtime_dir {
            builder = builder.runtime_folder(path);
        }
        if let Some(timeout) = seconds("wait_timeout", self.wait_timeout)? {
            builder = builder.wait_timeout(timeout);
        }
        if let Some(timeout) = seconds("body_timeout", self.body_timeout)? {
            builder = builder.body_timeout(timeout);
        }
        if let Some(timeout) = seconds("drain_timeout", self.drain_timeout)? {
            builder = builder.drain_timeout(timeout);
        }
        if let Some(timeout) = seconds("send_timeout", self.send_timeout)? {
            builder = builder.send_timeout(timeout);
        }
        builder
            .bind()
            .map_err(|error| QueueError::new_err(chain(&error)))
    }
}

fn mode_of(text: &str) -> PyResult<RequestQueueMode> {
    match text {
        "create" => Ok(RequestQueueMode::Create),
        "attach" => Ok(RequestQueueMode::Attach),
        "create-or-attach" => Ok(RequestQueueMode::CreateOrAttach),
        other => Err(PyValueError::new_err(format!(
            "mode is \"create\", \"attach\" or \"create-or-attach\", not {other:?}"
        ))),
    }
}

fn verbosity_of(text: &str) -> PyResult<Verbosity503> {
    match text {
        "basic" => Ok(Verbosity503::Basic),
        "limited" => Ok(Verbosity503::Limited),
        "full" => Ok(Verbosity503::Full),
        other => Err(PyValueError::new_err(format!(
            "verbosity is \"basic\", \"limited\" or \"full\", not {other:?}"
        ))),
    }
}

fn seconds(name: &str, value: Option<f64>) -> PyResult<Option<Duration>> {
    value
        .map(|value| {
            Duration::try_from_secs_f64(value).map_err(|_| {
                PyValueError::new_err(format!("{name} is a number of seconds, not {value}"))
            })
        })
        .transpose()
}
