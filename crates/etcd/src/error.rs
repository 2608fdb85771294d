//! What can go wrong with etcd.

use std::time::Duration;

/// Why etcd did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdError {
    /// The configuration of the access is wrong.
    #[error("{endpoint:?} is no endpoint of etcd")]
    Endpoint {
        /// As it was written.
        endpoint: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// None of the endpoints answers.
    #[error("no endpoint of etcd answers: {0}")]
    Unreachable(String),
    /// It says no.
    #[error("etcd refuses: {0}")]
    Refused(String),
    /// It does not answer in time.
    #[error("etcd has not answered within {} s", .0.as_secs())]
    Late(Duration),
    /// The watch has ended, with the reason.
    #[error("the watch has ended: {0}")]
    WatchEnded(String),
    /// The revision from which on changes were to be told is there no more.
    #[error("revisions up to {compacted} are compacted: {reason}")]
    Compacted {
        /// The oldest revision that is there.
        compacted: i64,
        /// etcd's words.
        reason: String,
    },
    /// Somebody else was faster.
    #[error("the configuration is at revision {found}, and not at {expected} any more")]
    Conflict {
        /// What the change was based on.
        expected: i64,
        /// What is there.
        found: i64,
    },
    /// It was asked to write, and what it says of that is lost.
    #[error("it is not known whether it is written: {0}")]
    Unknown(String),
    /// There is no such revision in the history.
    #[error("there is no revision {0} in the history")]
    NoRevision(i64),
    /// The document is larger than etcd takes.
    #[error(
        "the document has {size} bytes, and etcd takes {limit} in one key: put routes and clusters into keys of their own"
    )]
    TooLarge {
        /// Its size.
        size: usize,
        /// The most that etcd takes by default.
        limit: usize,
    },
    /// Something under the prefix is not what this program writes.
    #[error("{key:?} is not what this program writes there")]
    Foreign {
        /// The key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl EtcdError {
    /// Whether another member may do what this one has not.
    pub fn is_of_one_member(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::Late(_) | Self::Unreachable(_)
        )
    }
}

impl From<tonic::Status> for EtcdError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(status.message().to_owned())
    }
}
