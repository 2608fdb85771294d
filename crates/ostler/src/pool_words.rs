//! What `ostler apps` and a pool say to each other, over a socket in the runtime folder.
//!
//! ```text
//! <runtime folder>/pools/<pid>.sock    a stream; a line of JSON is asked, a line is answered
//! ```

use std::path::PathBuf;

use ostler_delegation::runtime::RuntimeFolder;
use serde::{Deserialize, Serialize};

/// Where pools have their sockets.
pub(crate) fn pools_path(runtime: &RuntimeFolder) -> PathBuf {
    runtime.path().join("pools")
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Question {
    /// How all applications are.
    List,
    /// To act on one.
    Act {
        /// Its name, compared without case.
        name: String,
        action: Action,
    },
}

/// What an application can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Action {
    Recycle,
    Stop,
    Start,
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Answer {
    Applications(Vec<ApplicationStatus>),
    /// It is being done.
    Done,
    /// This pool has no such application.
    NoSuchApplication,
}

/// How an application is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ApplicationStatus {
    pub(crate) name: String,
    pub(crate) queue: String,
    /// The pool's process.
    pub(crate) pool: u32,
    pub(crate) state: ApplicationState,
    /// Requests that no instance has taken.
    pub(crate) waiting: u64,
    /// How often in a row an instance has failed.
    pub(crate) failures: u32,
    /// How the last one that failed did.
    pub(crate) last_failure: Option<String>,
    /// Seconds until the next start is tried.
    pub(crate) retry_after: Option<u64>,
    pub(crate) instances: Vec<InstanceStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ApplicationState {
    /// No instance runs, and a request starts one.
    Idle,
    Running,
    /// Instances fail: the next one is started after a pause.
    Failing,
    /// Somebody has stopped it.
    Stopped,
}

/// How an instance is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InstanceStatus {
    pub(crate) number: u64,
    pub(crate) pid: u32,
    pub(crate) state: InstanceState,
    /// Whether it makes room for a new one.
    pub(crate) outdated: bool,
    /// Seconds since its start.
    pub(crate) age: u64,
    pub(crate) active: u64,
    pub(crate) completed: u64,
    /// Resident bytes of its processes.
    pub(crate) memory: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InstanceState {
    Starting,
    Ready,
    Stopping,
}
