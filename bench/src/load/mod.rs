//! The load: runs a client, and reads what it prints.

mod client;
mod h2load;
mod wrk;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::ensure;

use crate::protocol::Protocol;

use client::LoadResult;
pub(crate) use client::{Clients, Latency, Load};

impl Load {
    /// Loads `address`, and returns when the time is over.
    pub(crate) fn run(&self, address: SocketAddr) -> anyhow::Result<LoadResult> {
        let url = format!("{}://{address}/bytes/{}", self.protocol.scheme(), self.size);
        let result = match self.protocol {
            Protocol::Http1 | Protocol::Http1Tls => wrk::run(self, &url),
            Protocol::Http2Tls => h2load::run(self, &url),
        }?;
        ensure!(result.requests > 0, "no request was answered");
        Ok(result)
    }

    /// The program that makes such a load.
    pub(crate) fn program(protocol: Protocol) -> &'static Path {
        Path::new(match protocol {
            Protocol::Http1 | Protocol::Http1Tls => "wrk",
            Protocol::Http2Tls => "h2load",
        })
    }
}
