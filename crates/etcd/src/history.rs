//! Pushing a configuration, and what was pushed before.

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::documents::{CONFIG, DOCUMENT};
use crate::error::EtcdError;
use crate::messages::{
    Compare, DeleteRangeRequest, Operation, PutRequest, RequestOp, TxnRequest, TxnResponse,
};

/// Where it stands below the prefix.
const HISTORY: &str = "history/";
/// How many revisions are kept.
const KEPT: usize = 50;
/// As much as etcd takes in one request by default (1.5 MiB), for the document and its copy in the history.
const LARGEST: usize = (3 << 19) / 2 - 4096;

/// A configuration that is pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// Seconds since 1970.
    pub at: u64,
    /// Who pushed it.
    pub by: String,
    /// Why.
    pub message: String,
    /// The document.
    pub document: String,
}

/// A configuration that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The revision that etcd gave it.
    pub number: i64,
    /// What it was.
    pub pushed: Pushed,
}

impl Revision {
    /// All that are kept, the latest first.
    ///
    /// # Errors
    ///
    /// When etcd does not answer, or refuses; when there is something else.
    pub async fn all(client: &Client, prefix: &str) -> Result<Vec<Self>, EtcdError> {
        let range = client.range(&format!("{prefix}{HISTORY}"), false).await?;
        let revisions = range.kvs.iter().map(|kv| {
            let pushed =
                serde_json::from_slice(&kv.value).map_err(|source| EtcdError::Foreign {
                    key: String::from_utf8_lossy(&kv.key).into_owned(),
                    source,
                })?;
            Ok::<_, EtcdError>(Self {
                number: kv.mod_revision,
                pushed,
            })
        });
        let mut revisions = revisions.collect::<Result<Vec<_>, _>>()?;
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
        Ok(revisions)
    }

    /// One of them.
    ///
    /// # Errors
    ///
    /// That it is not there, and the above.
    pub async fn find(client: &Client, prefix: &str, number: i64) -> Result<Self, EtcdError> {
        let all = Self::all(client, prefix).await?;
        let mut all = all.into_iter();
        all.find(|revision| revision.number == number)
            .ok_or(EtcdError::NoRevision(number))
    }
}

impl Pushed {
    /// Writes the document, if it is still at revision `base` (0: there is none), and into the history; both
    /// or neither. Gives the revision.
    ///
    /// # Errors
    ///
    /// [`EtcdError::Conflict`] when somebody else was faster, [`EtcdError::Unknown`] when etcd's word on it is
    /// lost; otherwise nothing is written.
    pub async fn write(&self, client: &Client, prefix: &str, base: i64) -> Result<i64, EtcdError> {
        if self.document.len() > LARGEST {
            return Err(EtcdError::TooLarge {
                size: self.document.len(),
                limit: LARGEST,
            });
        }
        let document = format!("{prefix}{CONFIG}{DOCUMENT}").into_bytes();
        let copy = serde_json::to_vec(self).map_err(|source| EtcdError::Foreign {
            key: HISTORY.to_owned(),
            source,
        })?;
        // As a text of JSON it is longer than by itself.
        let size = self.document.len() + copy.len();
        if size > 2 * LARGEST {
            return Err(EtcdError::TooLarge {
                size: size / 2,
                limit: LARGEST,
            });
        }
        // Each is based on another one, so the key is free.
        let at = format!("{prefix}{HISTORY}{base:020}").into_bytes();
        let mut success = vec![
            put(document.clone(), self.document.clone().into_bytes()),
            put(at.clone(), copy),
        ];
        success.extend(self.forgotten(client, prefix).await?);
        let transaction = TxnRequest {
            compare: vec![Compare::mod_revision(document, base)],
            success,
        };
        let path = "/etcdserverpb.KV/Txn";
        let response = client.call::<_, TxnResponse>(path, transaction).await;
        let response = response.map_err(|error| match error {
            // Then nothing has been sent.
            EtcdError::Unreachable(_) => error,
            error => EtcdError::Unknown(error.to_string()),
        })?;
        if response.succeeded {
            return Ok(response.header.unwrap_or_default().revision);
        }
        let place = format!("{prefix}{CONFIG}{DOCUMENT}");
        let found = client.range(&place, true).await?;
        let found = found.kvs.first().map_or(0, |kv| kv.mod_revision);
        Err(EtcdError::Conflict {
            expected: base,
            found,
        })
    }

    /// What the history has no room for any more.
    async fn forgotten(
        &self,
        client: &Client,
        prefix: &str,
    ) -> Result<Option<RequestOp>, EtcdError> {
        let place = format!("{prefix}{HISTORY}");
        let mut range = client.range(&place, true).await?;
        range.kvs.sort_by_key(|kv| kv.mod_revision);
        let Some(last) = range.kvs.len().checked_sub(KEPT) else {
            return Ok(None);
        };
        let mut end = range.kvs.swap_remove(last).key;
        end.push(0);
        let operation = Operation::Delete(DeleteRangeRequest {
            key: place.into_bytes(),
            range_end: end,
        });
        Ok(Some(RequestOp {
            operation: Some(operation),
        }))
    }
}

fn put(key: Vec<u8>, value: Vec<u8>) -> RequestOp {
    let put = PutRequest {
        key,
        value,
        lease: 0,
    };
    RequestOp {
        operation: Some(Operation::Put(put)),
    }
}
