//! DNS: the system's servers and hosts file, or servers that the configuration names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use ostler_config::{AddressFamily, DestinationResolverConfig};

use crate::lookup::{Found, Lookup, LookupError, LookupFuture};
use crate::query::{Endpoint, Query};

/// What says whom the system asks, and what it knows by itself.
const SYSTEM_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// How long a server that the configuration names may take, as long as there is another attempt.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks by DNS.
pub(crate) struct Dns {
    name_servers: Vec<SocketAddr>,
    families: Vec<AddressFamily>,
    made: Mutex<Option<Made>>,
}

/// Resolvers, and the state of the system's files that they were made by.
struct Made {
    files: Vec<Option<Identity>>,
    resolvers: Arc<Resolvers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// One for each family: whether there is nothing of one, or it could not be asked, makes a difference.
struct Resolvers {
    v4: TokioResolver,
    v6: TokioResolver,
}

#[derive(Debug, thiserror::Error)]
enum DnsError {
    #[error("it has no addresses")]
    NoAddress,
    #[error("there is no such name")]
    NoName,
    #[error("nobody offers the service")]
    NoService,
    #[error("{0}")]
    Failed(NetError),
}

/// The addresses of a name, and of which families nothing could be learned.
struct Addresses {
    ips: Vec<IpAddr>,
    time_to_live: u32,
    unknown: Vec<AddressFamily>,
}

impl Dns {
    pub(crate) fn new(config: &DestinationResolverConfig) -> Self {
        let both = [AddressFamily::InterNetwork, AddressFamily::InterNetworkV6];
        let families = match config.address_family {
            Some(family) => vec![family],
            None => both.to_vec(),
        };
        Self {
            name_servers: config.name_servers.clone(),
            families,
            made: Mutex::new(None),
        }
    }

    /// The resolvers, made anew when what the system says has changed.
    fn resolvers(&self) -> Result<Arc<Resolvers>, NetError> {
        let files = SYSTEM_FILES.map(|path| Some(Identity::of(&std::fs::metadata(path).ok()?)));
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| made.files == files) {
            return Ok(Arc::clone(&made.resolvers));
        }
        let resolvers = Arc::new(Resolvers {
            v4: resolver(&self.name_servers, LookupIpStrategy::Ipv4Only)?,
            v6: resolver(&self.name_servers, LookupIpStrategy::Ipv6Only)?,
        });
        *made = Some(Made {
            files: files.to_vec(),
            resolvers: Arc::clone(&resolvers),
        });
        Ok(resolvers)
    }

    async fn host(&self, resolvers: &Resolvers, name: &str) -> Result<Addresses, DnsError> {
        let ask = async |family| match self.families.contains(&family) {
            true => Some(resolvers.of(family).lookup_ip(name).await),
            false => None,
        };
        let (v4, v6) = tokio::join!(
            ask(AddressFamily::InterNetwork),
            ask(AddressFamily::InterNetworkV6)
        );
        let mut addresses = Addresses {
            ips: Vec::new(),
            time_to_live: u32::MAX,
            unknown: Vec::new(),
        };
        let mut failure = None;
        let mut is_name = false;
        let answers = [
            (AddressFamily::InterNetwork, v4),
            (AddressFamily::InterNetworkV6, v6),
        ];
        for (family, answer) in answers {
            match answer {
                None => {}
                Some(Ok(found)) => {
                    addresses.ips.extend(found.iter());
                    let shortest = shortest(found.as_lookup().answers());
                    addresses.time_to_live = addresses.time_to_live.min(shortest);
                }
                Some(Err(error)) if error.is_no_records_found() => {
                    is_name |= !error.is_nx_domain();
                }
                Some(Err(error)) => {
                    addresses.unknown.push(family);
                    failure = Some(error);
                }
            }
        }
        match (addresses.ips.is_empty(), failure) {
            (false, _) => Ok(addresses),
            (true, Some(error)) => Err(DnsError::Failed(error)),
            (true, None) if is_name => Err(DnsError::NoAddress),
            (true, None) => Err(DnsError::NoName),
        }
    }

    /// Of the records those of the lowest priority that lead anywhere (RFC 2782).
    async fn service(&self, resolvers: &Resolvers, name: &str) -> Result<Found, DnsError> {
        let answer = resolvers.v4.lookup(name, RecordType::SRV).await;
        let answer = answer.map_err(|error| match error {
            error if error.is_nx_domain() => DnsError::NoName,
            error if error.is_no_records_found() => DnsError::NoService,
            error => DnsError::Failed(error),
        })?;
        let mut by_priority: BTreeMap<u16, BTreeSet<(String, u16)>> = BTreeMap::new();
        for record in answer.answers() {
            if let RData::SRV(service) = &record.data
                && !service.target.is_root()
            {
                let targets = by_priority.entry(service.priority).or_default();
                targets.insert((service.target.to_utf8(), service.port));
            }
        }
        let mut time_to_live = shortest(answer.answers());
        let mut last = DnsError::NoService;
        for targets in by_priority.into_values() {
            let mut endpoints = BTreeSet::new();
            let mut unknown = Vec::new();
            for (target, port) in targets {
                match self.host(resolvers, &target).await {
                    Ok(found) => {
                        time_to_live = time_to_live.min(found.time_to_live);
                        unknown.extend(found.unknown);
                        endpoints.extend(found.ips.into_iter().map(|ip| Endpoint {
                            ip,
                            port: Some(port),
                        }));
                    }
                    Err(error) => {
                        if let DnsError::Failed(_) = error {
                            unknown.clone_from(&self.families);
                        }
                        last = error;
                    }
                }
            }
            // Targets of a priority that cannot be asked for are not given up for those of the next.
            if !endpoints.is_empty() {
                return Ok(Found {
                    endpoints,
                    time_to_live: seconds(time_to_live),
                    unknown,
                });
            }
            if let DnsError::Failed(_) = last {
                break;
            }
        }
        Err(last)
    }
}

impl Lookup for Dns {
    fn look_up<'a>(&'a self, query: &'a Query) -> LookupFuture<'a> {
        Box::pin(async move {
            let resolvers = self.resolvers().map_err(DnsError::Failed)?;
            let found = match query {
                Query::Service(name) => self.service(&resolvers, name).await,
                Query::Host(name) => self.host(&resolvers, name).await.map(Found::from),
            };
            found.map_err(LookupError::from)
        })
    }
}

impl From<Addresses> for Found {
    fn from(addresses: Addresses) -> Self {
        let endpoint = |ip| Endpoint { ip, port: None };
        Self {
            endpoints: addresses.ips.into_iter().map(endpoint).collect(),
            time_to_live: seconds(addresses.time_to_live),
            unknown: addresses.unknown,
        }
    }
}

impl Resolvers {
    fn of(&self, family: AddressFamily) -> &TokioResolver {
        match family {
            AddressFamily::InterNetwork => &self.v4,
            AddressFamily::InterNetworkV6 => &self.v6,
        }
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

fn resolver(
    name_servers: &[SocketAddr],
    strategy: LookupIpStrategy,
) -> Result<TokioResolver, NetError> {
    let mut builder = match name_servers {
        [] => TokioResolver::builder_tokio()?,
        named => {
            let config = ResolverConfig::from_name_servers(named.iter().map(name_server).collect());
            let mut builder =
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            builder.options_mut().timeout = TIMEOUT;
            builder
        }
    };
    let options = builder.options_mut();
    options.ip_strategy = strategy;
    // When to ask again is decided by whoever follows a name.
    options.cache_size = 0;
    builder.build()
}

fn name_server(at: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(at.ip());
    for connection in &mut server.connections {
        let connection: &mut ConnectionConfig = connection;
        connection.port = at.port();
    }
    server
}

/// For how long all of these records hold.
fn shortest(records: &[Record]) -> u32 {
    let times = records.iter().map(|record| record.ttl);
    times.min().unwrap_or_default()
}

fn seconds(time_to_live: u32) -> Duration {
    Duration::from_secs(u64::from(time_to_live))
}
