//! How a front is set up.

use std::sync::Arc;

use ostler_delegation::runtime::RuntimeFolder;

use crate::access_log::{AccessLog, TraceOptions};
use crate::endpoint::{Endpoint, ListenUrl};
use crate::health::ActiveHealthOptions;
use crate::limits::FrontLimits;
use crate::static_files::StaticFileOptions;

/// How a front is set up. The default is the program's: it listens on `http://localhost:5000`.
#[derive(Debug, Clone)]
pub struct FrontOptions {
    /// Where to listen.
    pub endpoints: Vec<Endpoint>,
    /// Threads, each with its own connections; 0 is one a CPU.
    pub threads: usize,
    /// What clients may do.
    pub limits: FrontLimits,
    /// Where request queues are.
    pub runtime: RuntimeFolder,
    /// Users besides this process' own whose targets are handed client sockets.
    pub trusted_uids: Vec<u32>,
    /// Probes, where clusters do not say.
    pub active_health: ActiveHealthOptions,
    /// Files to answer from, if any.
    pub static_files: Option<StaticFileOptions>,
    /// Whether the kernel may encrypt for clients whose sockets are handed to targets. Where it
    /// cannot, or may not, exchanges over TLS are relayed.
    pub kernel_tls: bool,
    /// Told of every exchange when it is over, if anybody is.
    pub access_log: Option<Arc<dyn AccessLog>>,
    /// How the front takes part in traces, if it does.
    pub traces: Option<TraceOptions>,
    /// Whether exchanges are counted and measured.
    pub metrics: bool,
}

impl Default for FrontOptions {
    fn default() -> Self {
        let url = ListenUrl::parse("http://localhost:5000").expect("it is a URL");
        Self {
            endpoints: vec![Endpoint::clear(url)],
            threads: 0,
            limits: FrontLimits::default(),
            runtime: RuntimeFolder::from_environment(),
            trusted_uids: Vec::new(),
            active_health: ActiveHealthOptions::default(),
            static_files: None,
            kernel_tls: true,
            access_log: None,
            traces: None,
            metrics: false,
        }
    }
}
