//! What belongs to a queue whoever serves it: its limit, how long requests wait, what is told to those that
//! are turned away.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::QueueError;
use crate::name::QueueName;

/// How much a client is told when the queue turns its request away (`Http503Verbosity`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity503 {
    /// Nothing: the connection is reset. http.sys' default.
    #[default]
    Basic,
    /// A plain 503, then the connection is closed.
    Limited,
    /// A 503 that says why, then the connection is closed.
    Full,
}

/// What belongs to the queue rather than to one instance; its creator sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueProperties {
    /// The name in its creator's spelling.
    pub name: String,
    /// Most requests that may wait, 1 to 0x7FFFFFFF; 1000 by default.
    pub limit: u32,
    /// What a client sees when the limit is reached.
    pub verbosity: Verbosity503,
    /// How long a request may wait, in milliseconds; 120,000 by default.
    pub wait_timeout_ms: u64,
}

impl QueueProperties {
    /// http.sys' default `RequestQueueLimit`.
    pub const DEFAULT_LIMIT: u32 = 1000;
    /// http.sys' default `RequestQueue` timeout.
    pub const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(120);

    /// The defaults for a queue of this name.
    pub fn new(name: &QueueName) -> Self {
        Self {
            name: name.as_str().to_owned(),
            limit: Self::DEFAULT_LIMIT,
            verbosity: Verbosity503::default(),
            wait_timeout_ms: Self::DEFAULT_WAIT_TIMEOUT.as_millis() as u64,
        }
    }

    /// How long a request may wait.
    pub fn wait_timeout(&self) -> Duration {
        Duration::from_millis(self.wait_timeout_ms)
    }

    /// Whether its values are within their ranges.
    pub(crate) fn check(&self) -> Result<(), QueueError> {
        if self.limit == 0 || self.limit > 0x7FFF_FFFF {
            return Err(QueueError::InvalidProperty {
                property: "queue limit",
                value: self.limit.into(),
                range: "1 to 2147483647",
            });
        }
        Ok(())
    }
}
