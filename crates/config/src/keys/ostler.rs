//! `Ostler`: what nobody else has a setting for.

use super::Value::{
    Choice, Integer, Map, Number, Object as Section, Objects, Text, TextMap, Texts, TimeSpan,
};
use super::{APPLICATION, Key, Object, Origin};

pub(crate) static OSTLER: Object = Object::new(
    Origin::Ostler,
    "What YARP and ASP.NET have no setting for.",
    &[
        Key::new("Threads", Integer, "Threads, at most 1024; 0 is one a CPU.").default("0").example("4"),
        Key::new("RuntimeFolder", Text, "Where request queues live.")
            .default("`$OSTLER_RUNTIME_DIR`, else `/run/ostler`, else `$XDG_RUNTIME_DIR/ostler`")
            .example(r#""/run/ostler""#),
        Key::new(
            "TrustedUsers",
            Texts,
            "Users, by name or number, whose targets are handed clients' sockets; requests for others are \
             relayed. The front's own user always is one.",
        )
        .default("[]")
        .example(r#"["www-data"]"#),
        Key::new(
            "QueueGroup",
            Text,
            "A group, by name or number, whose members may open queues: the folder of queues is given to it.",
        )
        .default("whoever may write to that folder as it is")
        .example(r#""www-data""#),
        Key::new("Limits", Section(&OWN_LIMITS), "What ASP.NET has no limit for."),
        Key::new("Tls", Section(&TLS), "TLS from clients."),
        Key::new(
            "ProxyProtocol",
            Section(&PROXY_PROTOCOL),
            "Who says in a PROXY header who the client is.",
        ),
        Key::new(
            "KernelTls",
            Choice(&["auto", "off"]),
            "Whether exchanges over TLS are delegated where the kernel can encrypt.",
        )
        .default(r#""auto""#)
        .example(r#""off""#),
        Key::new(
            "DataProtection",
            Section(&DATA_PROTECTION),
            "What the affinity policies `Cookie` and `CustomHeader` encrypt with.",
        ),
        Key::new("HealthChecks", Section(&HEALTH_CHECKS), "Defaults of health checks."),
        Key::new("ErrorPages", Section(&ERROR_PAGES), "What the front says with an error of its own."),
        Key::new("AccessLog", Section(&ACCESS_LOG), "A line for each exchange."),
        Key::new(
            "DestinationResolver",
            Section(&DESTINATION_RESOLVER),
            "What becomes of destinations whose address holds a name.",
        ),
        Key::new("Etcd", Section(&ETCD), "A configuration that many fronts share."),
        Key::new(
            "Applications",
            Map(&APPLICATION),
            "Programs that `ostler pool` starts, by name, and the request queues that they serve.",
        ),
        Key::new("Traces", Section(&TRACES), "A span for each exchange, sent to a collector."),
        Key::new("Admin", Section(&ADMIN), "Where the operator asks and is told."),
    ],
);

pub(crate) static OWN_LIMITS: Object = Object::new(
    Origin::Ostler,
    "What ASP.NET has no limit for.",
    &[
        Key::new(
            "MaxConnectionsPerAddress",
            Integer,
            "Most connections of one IPv4 address or one /64 of IPv6; positive. `null` is any number.",
        )
        .default("any number")
        .example("100"),
        Key::new(
            "QueueRetention",
            TimeSpan,
            "How long requests wait for a request queue whose last instance has left, for one to come; zero \
             answers 503 at once. After a crash they wait for as long as the queue says.",
        )
        .default(r#""00:00:10""#)
        .example(r#""00:00:30""#),
    ],
);

pub(crate) static TLS: Object = Object::new(
    Origin::Ostler,
    "TLS from clients.",
    &[Key::new(
        "ClientCertificateAuthorities",
        Text,
        "A PEM file of those who vouch for clients.",
    )
    .default("whom the system trusts")
    .example(r#""/etc/ostler/clients.pem""#)],
);

pub(crate) static DATA_PROTECTION: Object = Object::new(
    Origin::Ostler,
    "What the affinity policies `Cookie` and `CustomHeader` encrypt with.",
    &[Key::new(
        "Keys",
        Objects(&PROTECTION_KEY),
        "The first encrypts, all decrypt. Fronts that share clients share them. To rotate, put the new one \
         first and take the old one away when its cookies have expired.",
    )
    .default("a random key, which ends with the process")],
);

pub(crate) static PROTECTION_KEY: Object = Object::new(
    Origin::Ostler,
    "A key of 32 bytes: one of the two.",
    &[
        Key::new(
            "Key",
            Text,
            "The key in base64, as `openssl rand -base64 32` makes one.",
        )
        .example(r#""MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=""#),
        Key::new("KeyFile", Text, "A file that holds it in base64.")
            .example(r#""/etc/ostler/key""#),
    ],
);

pub(crate) static HEALTH_CHECKS: Object = Object::new(
    Origin::Ostler,
    "Defaults of health checks.",
    &[
        Key::new("Active", Section(&ACTIVE_DEFAULTS), "Of probes."),
        Key::new("Passive", Section(&PASSIVE_DEFAULTS), "Of passive checks."),
    ],
);

pub(crate) static ERROR_PAGES: Object = Object::new(
    Origin::Ostler,
    "What the front says with an error of its own: of no route, of a policy, of a destination that does not answer.",
    &[Key::new(
        "Folder",
        Text,
        "A folder, in the content root, with files that are called by the status (`404.html`) or its class \
         (`5xx.json`): `.html`, `.json` or `.txt`, whichever the client accepts. They are read again when they change.",
    )
    .example(r#""/etc/ostler/errors""#)],
);

pub(crate) static ACCESS_LOG: Object = Object::new(
    Origin::Ostler,
    "A line for each exchange, when it is over. A change takes a restart, or SIGUSR2.",
    &[
        Key::new(
            "Format",
            Choice(&["Off", "Combined", "Json", "W3C"]),
            "`Combined` is Apache's and nginx's, `Json` an object a line with all that is known, `W3C` has the \
             columns of ASP.NET's W3CLogger and more. See [operating](operating.md#the-access-log).",
        )
        .default(r#""Off""#)
        .example(r#""Json""#),
        Key::new(
            "Path",
            Text,
            "The file that lines are appended to, from the working folder on. SIGUSR1 has it opened anew.",
        )
        .default("standard output")
        .example(r#""/var/log/ostler/access.log""#),
        Key::new(
            "StatusFrom",
            Integer,
            "Exchanges that ended with this status or a higher one, or with none, have a line. With one of these three \
             keys, only those that one of them takes have.",
        )
        .default("every exchange has a line")
        .example("400"),
        Key::new("SlowerThan", TimeSpan, "Exchanges that took so long have a line.")
            .default("every exchange has a line")
            .example(r#""00:00:01""#),
        Key::new("Sample", Number, "Such a share of the exchanges, from 0 to 1, has a line.")
            .default("every exchange has a line")
            .example("0.01"),
    ],
);

pub(crate) static DESTINATION_RESOLVER: Object = Object::new(
    Origin::Code("AddDnsDestinationResolver"),
    "What becomes of destinations whose address holds a name. See [names](names.md).",
    &[
        Key::new(
            "Type",
            Choice(&["None", "Dns", "ServiceDiscovery"]),
            "`None` looks a name up whenever a connection is opened. With `Dns` each address of the name is a \
             destination of its own. `ServiceDiscovery` takes endpoints from the section `Services`.",
        )
        .default(r#""None""#)
        .example(r#""Dns""#)
        .origin(Origin::Ostler),
        Key::new(
            "RefreshPeriod",
            TimeSpan,
            "After how long a name is looked up again, at the latest: earlier if the answer's time to live is \
             over. Zero or less is never.",
        )
        .default(r#""00:05:00""#)
        .example(r#""00:00:30""#),
        Key::new(
            "AddressFamily",
            Choice(&["InterNetwork", "InterNetworkV6"]),
            "Which addresses count: those of IPv4 or those of IPv6.",
        )
        .default("both"),
        Key::new(
            "NameServers",
            Texts,
            "Who is asked, as addresses with or without a port.",
        )
        .default("those of `/etc/resolv.conf`")
        .example(r#"["192.0.2.53", "127.0.0.1:5353"]"#)
        .origin(Origin::Ostler),
    ],
);

pub(crate) static ETCD: Object = Object::new(
    Origin::Ostler,
    "A configuration that many fronts share, laid over the files. See [etcd](etcd.md). A change takes a restart.",
    &[
        Key::new("Endpoints", Texts, "URLs of etcd's members, of which any one will do. Required.")
            .example(r#"["https://etcd-1:2379", "https://etcd-2:2379"]"#),
        Key::new("Prefix", Text, "What all keys begin with.")
            .default(r#""/ostler/""#)
            .example(r#""/shop/ostler/""#),
        Key::new("UserName", Text, "Who asks, where etcd wants to know.").example(r#""front""#),
        Key::new("Password", Text, "That user's password; better in a variable than in a file.")
            .example(r#""secret""#),
        Key::new(
            "Snapshot",
            Text,
            "The file that keeps what was in force last, so that a front starts while etcd is away.",
        )
        .default("`etcd-snapshot.json` in `$STATE_DIRECTORY`, where there is one, else none")
        .example(r#""/var/lib/ostler/etcd-snapshot.json""#),
        Key::new("Tls", Section(&ETCD_TLS), "What https is spoken by."),
    ],
);

pub(crate) static ETCD_TLS: Object = Object::new(
    Origin::Ostler,
    "What https is spoken by with etcd.",
    &[
        Key::new(
            "CertificateAuthorities",
            Text,
            "A PEM file of those who vouch for etcd.",
        )
        .default("whom the system trusts")
        .example(r#""/etc/ostler/etcd-ca.pem""#),
        Key::new(
            "Certificate",
            Text,
            "A PEM file with the certificate that is shown to etcd.",
        )
        .example(r#""/etc/ostler/etcd.pem""#),
        Key::new("Key", Text, "A PEM file with its key.").example(r#""/etc/ostler/etcd.key""#),
    ],
);

pub(crate) static TRACES: Object = Object::new(
    Origin::Ostler,
    "A span for each exchange, sent to a collector by OTLP. A change takes a restart, or SIGUSR2. See \
     [operating](operating.md#traces).",
    &[
        Key::new(
            "Endpoint",
            Text,
            "The collector's URL. Over HTTP, `/v1/traces` comes behind it.",
        )
        .default("no traces, and no field is changed")
        .example(r#""http://127.0.0.1:4318""#),
        Key::new(
            "Protocol",
            Choice(&["HttpProtobuf", "Grpc"]),
            "What the collector speaks.",
        )
        .default(r#""HttpProtobuf""#)
        .example(r#""Grpc""#),
        Key::new(
            "Sample",
            Number,
            "The share of traces that are sent, from 0 to 1, of those that begin here. Of others the client has \
             decided.",
        )
        .default("1")
        .example("0.01"),
        Key::new("ServiceName", Text, "What the spans' service is called.")
            .default(r#""ostler""#)
            .example(r#""edge""#),
        Key::new(
            "Headers",
            TextMap,
            "Fields of the requests to the collector: a key that it asks for.",
        )
        .default("{}")
        .example(r#"{ "api-key": "secret" }"#),
    ],
);

pub(crate) static ADMIN: Object = Object::new(
    Origin::Ostler,
    "Where the operator asks: `/metrics`, `/healthz`, `/readyz`. A change takes a restart, or SIGUSR2. See \
     [operating](operating.md#the-admin-endpoint).",
    &[Key::new(
        "Url",
        Text,
        "A loopback address or a socket of the file system: nobody is asked who they are.",
    )
    .default("no such endpoint, and nothing is measured")
    .example(r#""http://127.0.0.1:9090""#)],
);

pub(crate) static ACTIVE_DEFAULTS: Object = Object::new(
    Origin::Code("ActiveHealthCheckMonitorOptions"),
    "Of probes, where a cluster does not say.",
    &[
        Key::new(
            "DefaultInterval",
            TimeSpan,
            "From the end of a round of probes to the next; positive.",
        )
        .default(r#""00:00:15""#),
        Key::new(
            "DefaultTimeout",
            TimeSpan,
            "How long a probe may take; positive.",
        )
        .default(r#""00:00:10""#),
    ],
);

pub(crate) static PASSIVE_DEFAULTS: Object = Object::new(
    Origin::Code("TransportFailureRateHealthPolicyOptions"),
    "Of passive checks.",
    &[
        Key::new(
            "DetectionWindow",
            TimeSpan,
            "For how long an exchange counts; positive.",
        )
        .default(r#""00:01:00""#),
        Key::new(
            "MinimalTotalCount",
            Integer,
            "How many exchanges there must be for a rate; positive.",
        )
        .default("10"),
    ],
);

pub(crate) static PROXY_PROTOCOL: Object = Object::new(
    Origin::Ostler,
    "Who says in a PROXY header (version 1 or 2) who the client is.",
    &[
        Key::new(
            "TrustedNetworks",
            Texts,
            "Addresses, networks, or `unix`: their connections begin with the header. Required.",
        )
        .example(r#"["10.0.0.0/8", "unix"]"#),
        Key::new("Endpoints", Texts, "Names of `Kestrel:Endpoints`.")
            .default("all of them")
            .example(r#"["mine"]"#),
    ],
);
