//! What happens to an application, as it and its instances tell each other.

use ostler_config::ApplicationConfig;
use tokio::sync::oneshot;

use super::measure::Figures;
use crate::pool_words::{Action, ApplicationStatus};

/// What happens to an application.
#[derive(Debug)]
pub(super) enum Event {
    /// So many requests wait in fronts.
    Waiting(usize),
    /// Of an instance, by its number.
    News(u64, News),
    /// What the instances with these numbers do.
    Looked(Vec<(u64, Look)>),
    /// Files of the program have changed.
    FilesChanged,
    Configure(Box<ApplicationConfig>),
    Act(Action),
    Status(oneshot::Sender<ApplicationStatus>),
    End,
}

/// What an instance does and takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look {
    pub(super) figures: Option<Figures>,
    pub(super) memory: u64,
}

/// What is told of an instance.
#[derive(Debug)]
pub(super) enum News {
    Started {
        pid: u32,
    },
    /// It serves the queue, by these ids and prefixes.
    Ready {
        ids: Vec<String>,
        url_prefixes: Vec<String>,
    },
    /// It has ended, or could not be started.
    Ended {
        how: String,
    },
}
