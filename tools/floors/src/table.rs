//! The floors of each crate: where a module stands, and so what it may import.

/// A crate's floors.
#[derive(Debug)]
pub struct Crate {
    /// Its folder.
    pub folder: &'static str,
    /// From top to bottom.
    pub floors: &'static [Floor],
    /// Circles that may stand, with the reason.
    pub standing: &'static [Standing],
}

/// One floor: modules that import from those below.
#[derive(Debug)]
pub struct Floor {
    /// What its modules have in common.
    pub title: &'static str,
    /// Modules of the crate's root, or of a folder whose files stand on several floors.
    pub modules: &'static [&'static str],
}

/// Modules that import each other, and are better left so.
#[derive(Debug)]
pub struct Standing {
    /// All of them.
    pub modules: &'static [&'static str],
    /// Why nobody has to untie them.
    pub reason: &'static str,
}

impl Crate {
    /// What it is called for short.
    pub fn name(&self) -> &'static str {
        let (_, last) = self.folder.rsplit_once('/').unwrap_or(("", self.folder));
        last
    }

    /// The module of the table that another one is, or lies in, and its floor, counted from the top.
    pub fn place_of(&self, module: &str) -> Option<(&'static str, usize)> {
        let floors = self.floors.iter().enumerate();
        let named =
            floors.flat_map(|(at, floor)| floor.modules.iter().map(move |&named| (named, at)));
        let around = named.filter(|(named, _)| {
            let rest = module.strip_prefix(named);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        });
        around.max_by_key(|(named, _)| named.len())
    }

    /// Whether a circle is one of those that may stand.
    pub fn may_stand(&self, circle: &[&str]) -> bool {
        let standing = self.standing.iter();
        let mut named = standing.map(|standing| standing.modules);
        named.any(|modules| circle.iter().all(|module| modules.contains(module)))
    }
}

/// Every crate of the workspace, those that the others use first.
pub const CRATES: &[Crate] = &[
    HTTP1,
    SHM,
    READINESS,
    DELEGATION,
    TARGET_SDK,
    TARGET_C,
    CONFIG,
    MODEL,
    DISCOVERY,
    ETCD,
    PROXY,
    TEST_SUPPORT,
    OSTLER,
    BENCH,
    INSTRUCTIONS,
    FLOORS,
];

const HTTP1: Crate = Crate {
    folder: "crates/http1",
    floors: &[
        Floor {
            title: "what a route does to responses; bodies",
            modules: &["transforms", "body"],
        },
        Floor {
            title: "heads",
            modules: &["head", "request_target"],
        },
        Floor {
            title: "what both are made of",
            modules: &["error", "fields", "framing", "limits"],
        },
    ],
    standing: &[],
};

const SHM: Crate = Crate {
    folder: "crates/shm",
    floors: &[
        Floor {
            title: "rings and wake-ups",
            modules: &["pace", "ring", "wake", "mark", "journal"],
        },
        Floor {
            title: "regions",
            modules: &[
                "region", "memory", "memfd", "mapping", "copy", "layout", "sync",
            ],
        },
        Floor {
            title: "sockets, and what else the kernel is asked",
            modules: &[
                "socket",
                "kernel_tls",
                "presence",
                "client",
                "tcp_progress",
                "peer_credentials",
                "descriptors",
                "inotify",
                "process",
                "heap",
                "error",
            ],
        },
    ],
    standing: &[Standing {
        modules: &["mapping", "memfd"],
        reason: "memory is mapped by proof of its seals, and what is made sealed is mapped at once",
    }],
};

const READINESS: Crate = Crate {
    folder: "crates/readiness",
    floors: &[],
    standing: &[],
};

const DELEGATION: Crate = Crate {
    folder: "crates/delegation",
    floors: &[
        Floor {
            title: "the two ends of a channel",
            modules: &["target", "front", "window"],
        },
        Floor {
            title: "what they say",
            modules: &[
                "relayed_client",
                "entry",
                "lease",
                "stream_entry",
                "control",
                "address",
                "wire",
                "handover",
                "capacity",
                "untaken",
                "pieces",
                "protocol",
            ],
        },
        Floor {
            title: "queues, and who serves them",
            modules: &[
                "queue",
                "replacement",
                "status",
                "runtime",
                "properties",
                "rule",
                "folder",
            ],
        },
        Floor {
            title: "names and errors",
            modules: &["url_prefix", "name", "error", "accounts"],
        },
    ],
    standing: &[
        Standing {
            modules: &["replacement", "status"],
            reason: "one socket, over which a front answers both how many requests wait and for its sockets",
        },
        Standing {
            modules: &["front", "front::streams"],
            reason: "one end of a channel, in two files",
        },
        Standing {
            modules: &["entry", "stream_entry"],
            reason: "an entry may begin a stream, and what a stream says begins as an entry does",
        },
    ],
};

const TARGET_SDK: Crate = Crate {
    folder: "crates/target-sdk",
    floors: &[
        Floor {
            title: "serving a queue",
            modules: &["serve"],
        },
        Floor {
            title: "serving one front, on each of the two ways to it",
            modules: &["channel", "relay"],
        },
        Floor {
            title: "exchanges",
            modules: &["begin", "read_on", "upgrade", "exchange", "lease", "stream"],
        },
        Floor {
            title: "the application, and opening its queue",
            modules: &["application", "handler", "builder", "hyper_upgrade"],
        },
        Floor {
            title: "what a handler is given and gives",
            modules: &["response", "send_file", "body"],
        },
        Floor {
            title: "a stream's two halves",
            modules: &["stream::body", "stream::halves"],
        },
        Floor {
            title: "clients' sockets",
            modules: &["clients", "client"],
        },
        Floor {
            title: "what needs nothing else of the crate's",
            modules: &[
                "info",
                "error",
                "panics",
                "clock",
                "stop",
                "head_limits",
                "lease_state",
            ],
        },
    ],
    standing: &[Standing {
        modules: &["exchange", "lease"],
        reason: "an exchange under a lease tells it of its end, and the lease holds what exchanges share",
    }],
};

const TARGET_C: Crate = Crate {
    folder: "crates/target-c",
    floors: &[
        Floor {
            title: "what C calls",
            modules: &["abi"],
        },
        Floor {
            title: "what its handles stand for",
            modules: &[
                "abi::event",
                "abi::handles",
                "abi::open_queue",
                "abi::held_exchange",
            ],
        },
        Floor {
            title: "a queue, and the service that the Rust library calls",
            modules: &["queue", "service", "switched", "response_body"],
        },
        Floor {
            title: "an exchange, and what is told of it",
            modules: &["exchange", "events"],
        },
        Floor {
            title: "the bytes of its two directions",
            modules: &["incoming", "outgoing"],
        },
        Floor {
            title: "what needs nothing else of the crate's",
            modules: &["error", "signals", "abi::codes", "abi::memory"],
        },
    ],
    standing: &[Standing {
        modules: &["events", "exchange"],
        reason: "an exchange tells events, and an event says which exchange it is about",
    }],
};

const TEST_SUPPORT: Crate = Crate {
    folder: "crates/test-support",
    floors: &[
        Floor {
            title: "all of it, moved by a test",
            modules: &["harness"],
        },
        Floor {
            title: "the ends that a test holds",
            modules: &["destination", "target"],
        },
        Floor {
            title: "what an end has received",
            modules: &["end"],
        },
    ],
    standing: &[],
};

const CONFIG: Crate = Crate {
    folder: "crates/config",
    floors: &[
        Floor {
            title: "a configuration, read or written back; pages about its keys",
            modules: &["load", "validate", "not_yet", "reference", "json_schema"],
        },
        Floor {
            title: "what its sections say",
            modules: &["settings", "route", "cluster", "policies"],
        },
        Floor {
            title: "what all of these read with",
            modules: &["reader", "metadata", "route_validator"],
        },
        Floor {
            title: "keys and values",
            modules: &[
                "keys",
                "leaf",
                "policy_kind",
                "host_name",
                "socket_address",
                "nearest",
            ],
        },
        Floor {
            title: "the tree, and the types that it is read into",
            modules: &["tree", "json", "schema"],
        },
        Floor {
            title: "what is found, and where",
            modules: &["error", "diagnostics"],
        },
        Floor {
            title: "how the names of keys compare",
            modules: &["tree::key"],
        },
    ],
    standing: &[Standing {
        modules: &["keys", "keys::values"],
        reason: "an object has keys, which have values, some of which are objects",
    }],
};

const DISCOVERY: Crate = Crate {
    folder: "crates/discovery",
    floors: &[
        Floor {
            title: "names, and the destinations that they lead to",
            modules: &["names"],
        },
        Floor {
            title: "a name followed, looked up, and replaced",
            modules: &["follow", "dns", "resolve"],
        },
        Floor {
            title: "whoever answers",
            modules: &["lookup"],
        },
        Floor {
            title: "what is asked for",
            modules: &["query", "address"],
        },
    ],
    standing: &[],
};

const ETCD: Crate = Crate {
    folder: "crates/etcd",
    floors: &[
        Floor {
            title: "what fronts and people do with it",
            modules: &["follow", "history", "fleet"],
        },
        Floor {
            title: "a configuration at one revision",
            modules: &["documents"],
        },
        Floor {
            title: "a connection to a member",
            modules: &["client"],
        },
        Floor {
            title: "what etcd says, and what goes wrong",
            modules: &["messages", "error"],
        },
    ],
    standing: &[],
};

const MODEL: Crate = Crate {
    folder: "crates/model",
    floors: &[
        Floor {
            title: "where configurations come from",
            modules: &["provider"],
        },
        Floor {
            title: "the configuration in force",
            modules: &["proxy_model"],
        },
        Floor {
            title: "what is looked at of it from outside",
            modules: &[
                "health::schedule",
                "route::unmet",
                "route::validate",
                "cluster::resolve",
            ],
        },
        Floor {
            title: "the whole of it, and what it may name",
            modules: &["snapshot", "queue_names", "registry", "error"],
        },
        Floor {
            title: "routes",
            modules: &["route::table", "route::model", "route::action"],
        },
        Floor {
            title: "what routes and clusters have",
            modules: &[
                "transforms",
                "policies",
                "load_balancing",
                "session_affinity",
                "health",
                "cluster",
            ],
        },
        Floor {
            title: "destinations",
            modules: &["destination"],
        },
        Floor {
            title: "what requests are matched by",
            modules: &["route", "transforms::path"],
        },
        Floor {
            title: "what needs nothing else of the crate's",
            modules: &[
                "equality",
                "ordinal",
                "pairs",
                "random",
                "health::failure_history",
                "health::reactivation",
                "session_affinity::hash",
                "route::escape",
                "route::request_view",
                "route::error",
            ],
        },
    ],
    standing: &[Standing {
        modules: &[
            "cluster::destinations",
            "cluster::model",
            "cluster::state",
            "health::active",
            "health::passive",
            "load_balancing::policy",
        ],
        reason: "a cluster has policies, and they are asked about a cluster, as YARP's are",
    }],
};

/// The data path; drawn in `docs/architecture.md`.
pub const PROXY: Crate = Crate {
    folder: "crates/proxy",
    floors: &[
        Floor {
            title: "a front, from its start to its end",
            modules: &[
                "in_memory",
                "fuzzing",
                "front",
                "open_endpoints",
                "under_way",
                "measured",
            ],
        },
        Floor {
            title: "its threads at work",
            modules: &["front_thread", "listeners", "health"],
        },
        Floor {
            title: "a connection is served",
            modules: &["accept", "serve", "http2"],
        },
        Floor {
            title: "an exchange, from its head to its end",
            modules: &["exchange"],
        },
        Floor {
            title: "whose it is",
            modules: &["forwarded_headers"],
        },
        Floor {
            title: "the ways that it can go",
            modules: &["delegation", "forwarder", "rebalance", "marks"],
        },
        Floor {
            title: "what it carries along, what lets it in, what the front answers itself",
            modules: &[
                "exchange_state",
                "admission",
                "affinity",
                "static_files::answer",
                "answer",
            ],
        },
        Floor {
            title: "the client's side of it",
            modules: &[
                "client_side",
                "connection",
                "http2::stream",
                "http2::shared",
            ],
        },
        Floor {
            title: "what a thread has, and what all of them share",
            modules: &["worker", "watch", "shared"],
        },
        Floor {
            title: "request queues, and the channels to who serves them",
            modules: &["queues"],
        },
        Floor {
            title: "what steps see, and what is told when it is over",
            modules: &["account", "step_registry", "pipeline", "failing", "context"],
        },
        Floor {
            title: "how a front is set up; passive health",
            modules: &[
                "front_options",
                "health::options",
                "health::passive",
                "health::signal",
            ],
        },
        Floor {
            title: "connections: to destinations, and those of clients",
            modules: &[
                "destinations",
                "endpoint",
                "data_rates",
                "client_socket",
                "tls",
            ],
        },
        Floor {
            title: "what needs nothing else of the crate's",
            modules: &[
                "direct_forwarder",
                "trust",
                "static_files",
                "connection_counts",
                "limits",
                "buffers",
                "deadline",
                "permits",
                "access_log",
                "outcome",
                "reason",
                "trace",
                "metrics",
                "head_view",
                "https_only",
                "error_pages",
                "exclusive_paths",
                "connection_fields",
                "slow_timer",
                "clock",
                "error_chain",
                "descriptors",
                "heartbeats",
                "linger",
                "runtime_thread",
                "support",
            ],
        },
    ],
    standing: &[
        Standing {
            modules: &[
                "queues::channel",
                "queues::channel::leases",
                "queues::channel::stream_entries",
                "queues::flush",
                "queues::queue",
                "queues::queue::folder_watcher",
                "queues::queue::joining",
                "queues::queue::stalls",
                "queues::relay",
                "queues::stream",
                "queues::stream::body",
                "queues::stream::tunnel",
                "queues::stream::upload",
            ],
            reason: "a queue opens channels and relayed targets, and each tells its queue that it has room, \
                     or hands back what it was given",
        },
        Standing {
            modules: &["endpoint::inherited", "endpoint::sockets"],
            reason: "a socket that is bound here may have been inherited, and is handed on in the same form",
        },
        Standing {
            modules: &["answer", "answer::log", "answer::say"],
            reason: "an answer, how it is said and what the log says of it: one thing in three files",
        },
        Standing {
            modules: &[
                "destinations::connect",
                "destinations::http1",
                "destinations::http1::body",
                "destinations::http1::sending",
                "destinations::pool",
                "destinations::relay_connections",
                "destinations::response_body",
                "destinations::web_proxy",
            ],
            reason: "a pool lends connections, and a response's body gives its own back",
        },
        Standing {
            modules: &[
                "destinations::http1::stream",
                "destinations::http1::upgraded",
            ],
            reason: "a tunnel is made of a stream, and is one",
        },
        Standing {
            modules: &["destinations::http2", "destinations::tunnel"],
            reason: "a connection and a tunnel through it",
        },
        Standing {
            modules: &["forwarder::body", "forwarder::response"],
            reason: "the two directions of one exchange, each of which may end the other",
        },
        Standing {
            modules: &["forwarder::conversation", "forwarder::tunnel"],
            reason: "a conversation that may go on as a tunnel",
        },
    ],
};

const OSTLER: Crate = Crate {
    folder: "crates/ostler",
    floors: &[
        Floor {
            title: "commands",
            modules: &[
                "proxy",
                "run",
                "replacement",
                "init",
                "check",
                "route_test",
                "sample_target",
                "exec",
                "pool",
                "apps",
                "manual",
                "queues",
                "fleet",
                "shared",
                "demo",
            ],
        },
        Floor {
            title: "what the operator asks",
            modules: &["admin"],
        },
        Floor {
            title: "a configuration in force",
            modules: &[
                "in_force",
                "front_configuration",
                "signing_keys",
                "error_pages",
                "protection_keys",
                "membership",
            ],
        },
        Floor {
            title: "a configuration that is read",
            modules: &[
                "configuration",
                "endpoints",
                "etcd",
                "rules",
                "reload",
                "files",
            ],
        },
        Floor {
            title: "what is measured",
            modules: &["metrics"],
        },
        Floor {
            title: "arguments, logs, exit codes",
            modules: &[
                "args",
                "proxy_addresses",
                "route_test::request",
                "sample_target::tls",
                "access_log",
                "traces",
                "logging",
                "exit",
                "service_manager",
                "pool_words",
            ],
        },
    ],
    standing: &[],
};

const BENCH: Crate = Crate {
    folder: "bench",
    floors: &[
        Floor {
            title: "what is measured, and how it is shown",
            modules: &["report", "plot", "measure", "trace", "reload", "machine"],
        },
        Floor {
            title: "who is measured, and by what load",
            modules: &["servers", "load", "ask"],
        },
        Floor {
            title: "what these need",
            modules: &["cpu", "certificate", "protocol"],
        },
    ],
    standing: &[],
};

const INSTRUCTIONS: Crate = Crate {
    folder: "bench/instructions",
    floors: &[Floor {
        title: "counting, and what is counted",
        modules: &["counts", "valgrind", "workloads"],
    }],
    standing: &[],
};

/// This tool itself.
const FLOORS: Crate = Crate {
    folder: "tools/floors",
    floors: &[
        Floor {
            title: "what people read",
            modules: &["architecture", "drawing"],
        },
        Floor {
            title: "a crate against its floors",
            modules: &["house", "faults"],
        },
        Floor {
            title: "a crate's sources",
            modules: &["arrows"],
        },
        Floor {
            title: "what both are made of",
            modules: &["modules", "scope", "table"],
        },
    ],
    standing: &[],
};
