//! Fronts that run, each under a lease: what it says of itself, gone when it is.

use serde::{Deserialize, Serialize};

use std::time::Duration;

use tokio::sync::watch;

use crate::client::{Access, Client};
use crate::error::EtcdError;
use crate::messages::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, PutRequest, PutResponse,
};

/// Where they stand below the prefix.
const FRONTS: &str = "fronts/";
/// How long a front is believed to be there, in seconds.
const LEASE: i64 = 15;
/// How often it says that it is.
const SIGN: Duration = Duration::from_secs(5);

/// What a front says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontRecord {
    /// Tells it from others: its host's name and its process.
    pub id: String,
    /// The program's version.
    pub build: String,
    /// Seconds since 1970.
    pub started: u64,
    /// URLs that it listens on.
    pub listening: Vec<String>,
    /// Request queues that its clusters name.
    pub queues: Vec<String>,
    /// The revision of etcd's configuration that is in force; 0 where none is.
    pub revision: i64,
    /// A later one that it refuses, and why.
    pub refused: Option<(i64, Vec<String>)>,
    /// Clusters of which no destination is available.
    pub without_destinations: Vec<String>,
}

/// A front's place among the others.
#[derive(Debug)]
pub struct Registration {
    access: Access,
    prefix: String,
}

/// All fronts that have said lately that they are there, by their ids.
///
/// # Errors
///
/// When etcd does not answer, or refuses; when there is something else.
pub async fn fronts(client: &Client, prefix: &str) -> Result<Vec<FrontRecord>, EtcdError> {
    let range = client.range(&format!("{prefix}{FRONTS}"), false).await?;
    let records = range.kvs.iter().map(|kv| {
        serde_json::from_slice(&kv.value).map_err(|source| EtcdError::Foreign {
            key: String::from_utf8_lossy(&kv.key).into_owned(),
            source,
        })
    });
    records.collect()
}

impl Registration {
    /// Of a front whose configuration is there.
    pub fn new(access: Access, prefix: String) -> Self {
        Self { access, prefix }
    }

    /// Keeps a record up to date until its sender is gone; then takes it away. While etcd is away there is
    /// none, and the front goes on.
    pub async fn keep(self, mut record: watch::Receiver<FrontRecord>, seed: usize) {
        let mut turn = seed;
        loop {
            match self.until_it_fails(&mut record, turn).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "the front is not registered"),
            }
            turn += 1;
            if record.has_changed().is_err() {
                return;
            }
            tokio::time::sleep(SIGN).await;
        }
    }

    async fn until_it_fails(
        &self,
        record: &mut watch::Receiver<FrontRecord>,
        turn: usize,
    ) -> Result<(), EtcdError> {
        let client = Client::connect(&self.access, turn).await?;
        let grant = LeaseGrantRequest { ttl: LEASE };
        let lease: LeaseGrantResponse =
            client.call("/etcdserverpb.Lease/LeaseGrant", grant).await?;
        let lease = lease.id;
        self.put(&client, record, lease).await?;
        loop {
            tokio::select! {
                changed = record.changed() => match changed {
                    Ok(()) => self.put(&client, record, lease).await?,
                    Err(_) => {
                        let revoke = LeaseRevokeRequest { id: lease };
                        let path = "/etcdserverpb.Lease/LeaseRevoke";
                        let _: LeaseRevokeResponse = client.call(path, revoke).await?;
                        return Ok(());
                    }
                },
                () = tokio::time::sleep(SIGN) => {
                    // A stream of one: etcd answers each by itself.
                    let sign = LeaseKeepAliveRequest { id: lease };
                    let path = "/etcdserverpb.Lease/LeaseKeepAlive";
                    let answer: LeaseKeepAliveResponse = client.call(path, sign).await?;
                    if answer.ttl <= 0 {
                        return Err(EtcdError::Refused("the lease is over".to_owned()));
                    }
                }
            }
        }
    }

    async fn put(
        &self,
        client: &Client,
        record: &mut watch::Receiver<FrontRecord>,
        lease: i64,
    ) -> Result<(), EtcdError> {
        let record = record.borrow_and_update().clone();
        let value = serde_json::to_vec(&record).map_err(|source| EtcdError::Foreign {
            key: record.id.clone(),
            source,
        })?;
        let request = PutRequest {
            key: format!("{}{FRONTS}{}", self.prefix, record.id).into_bytes(),
            value,
            lease,
        };
        let _: PutResponse = client.call("/etcdserverpb.KV/Put", request).await?;
        Ok(())
    }
}
