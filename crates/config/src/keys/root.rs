//! The outermost level.

use super::Value::{
    AnyText, Anything, Boolean, Integer, Object as Section, Text, Texts, TextsMaps, TimeSpan,
};
use super::{
    AUTHENTICATION, AUTHORIZATION, CORS, HTTP_SYS, KESTREL, Key, OSTLER, OUTPUT_CACHE, Object,
    Origin, RATE_LIMITER, REQUEST_TIMEOUTS, REVERSE_PROXY,
};

pub(crate) static ROOT: Object = Object::new(
    Origin::AspNet,
    "Other programs' sections may stand in the same file, and are warned of.",
    &[
        Key::new("ReverseProxy", Section(&REVERSE_PROXY), "Routes and clusters.").origin(Origin::Yarp),
        Key::new("Cors", Section(&CORS), "What routes mean by `CorsPolicy`."),
        Key::new("RateLimiter", Section(&RATE_LIMITER), "What routes mean by `RateLimiterPolicy`."),
        Key::new("OutputCache", Section(&OUTPUT_CACHE), "What routes mean by `OutputCachePolicy`."),
        Key::new("RequestTimeouts", Section(&REQUEST_TIMEOUTS), "What routes mean by `TimeoutPolicy`."),
        Key::new("Authentication", Section(&AUTHENTICATION), "How it is known who asks."),
        Key::new("Authorization", Section(&AUTHORIZATION), "What routes mean by `AuthorizationPolicy`."),
        Key::new(
            "Urls",
            Text,
            "Where to listen, separated by `;`. Without effect beside `Kestrel:Endpoints`.",
        )
        .default(r#""http://localhost:5000""#)
        .example(r#""http://localhost:8080;http://*:8081""#),
        Key::new(
            "HTTP_PORTS",
            AnyText,
            "Ports for http on all addresses, separated by `;`, if `Urls` does not say. Mostly a variable.",
        )
        .example(r#""8080""#),
        Key::new(
            "HTTPS_PORTS",
            AnyText,
            "The same for https, with the certificate `Kestrel:Certificates:Default`.",
        )
        .example(r#""8443""#),
        Key::new(
            "ShutdownTimeoutSeconds",
            Integer,
            "How long exchanges under way may take when the front is stopped, in seconds. `--drain-timeout` \
             comes first.",
        )
        .default("30"),
        Key::new(
            "AllowedHosts",
            Text,
            "Hosts that requests may name, separated by `;`; others are 400.",
        )
        .default(r#""*""#)
        .example(r#""example.com;*.example.com""#),
        Key::new(
            "ForwardedHeaders",
            Section(&FORWARDED_HEADERS),
            "Whom the front believes who the client is.",
        )
        .origin(Origin::Code("ForwardedHeadersOptions")),
        Key::new(
            "HttpsRedirection",
            Section(&HTTPS_REDIRECTION),
            "Clients that ask by http are sent to https.",
        )
        .origin(Origin::Code("UseHttpsRedirection")),
        Key::new("Hsts", Section(&HSTS), "Browsers are told to ask by https from then on.")
            .origin(Origin::Code("UseHsts")),
        Key::new("Kestrel", Section(&KESTREL), "Endpoints, certificates, limits."),
        Key::new("HttpSys", Section(&HTTP_SYS), "Limits by http.sys' names."),
        Key::new("Ostler", Section(&OSTLER), "What nobody else has a setting for.")
            .origin(Origin::Ostler),
        Key::new(
            "Services",
            TextsMaps,
            "Endpoints of services, by the service's name and the endpoint's or the scheme's, for \
             `Ostler:DestinationResolver:Type` `ServiceDiscovery`. See [names](names.md#services).",
        )
        .example(r#"{ "catalog": { "http": ["10.0.0.1:8080", "10.0.0.2:8080"] } }"#)
        .origin(Origin::Code("AddServiceDiscovery")),
        Key::new("StaticFiles", Section(&STATIC_FILES), "Files that are served before requests are routed.")
            .origin(Origin::Yarp),
        Key::new(
            "NavigationFallback",
            Section(&NAVIGATION_FALLBACK),
            "The file for paths that no route matches and that are not named like a file.",
        )
        .origin(Origin::Yarp),
        Key::new("ContentRoot", Text, "The folder that relative folders are in.")
            .default("that of the first configuration file")
            .example(r#""/srv/app""#),
        Key::new("WebRoot", Text, "Where static files are, in the content root.")
            .default(r#""wwwroot""#)
            .example(r#""public""#),
        // Of the host, and of editors.
        Key::new(
            "FORWARDEDHEADERS_ENABLED",
            AnyText,
            "`true` is `ForwardedHeaders` of `XForwardedFor, XForwardedProto`, believed of whoever connects where \
             nobody is named there, of which there is a warning. Mostly a variable.",
        )
        .example(r#""true""#),
        Key::new(
            "HTTPS_PORT",
            AnyText,
            "The port of `HttpsRedirection`, where that does not say. Mostly a variable.",
        )
        .example(r#""443""#),
        Key::new("HostingStartupAssemblies", AnyText, "Without effect; warned of.").idle(),
        Key::new("PreferHostingUrls", AnyText, "Without effect; `true` is warned of.").idle(),
        Key::new("DetailedErrors", AnyText, "Without effect; `true` is warned of.").idle(),
        Key::new("HostBuilder", Section(&HOST_BUILDER), "Without effect."),
        Key::new("YARP_ENABLE_STATIC_FILES", AnyText, "As `StaticFiles:Enabled`; a variable of before.")
            .idle(),
        Key::new(
            "YARP_DISABLE_SPA_FALLBACK",
            AnyText,
            "Takes the fallback away that the variable above brings.",
        )
        .idle(),
        Key::new("$schema", Anything, "Of editors.").idle(),
    ],
)
.open();

pub(crate) static FORWARDED_HEADERS: Object = Object::new(
    Origin::Code("ForwardedHeadersOptions"),
    "What is believed of what stands before the front, and whom. Of a connection from anybody else the fields \
     mean nothing. The client's address, scheme, host and prefix are then those that are said: for routes, \
     policies, transforms, logs and applications. See [behind a load balancer](behind-a-load-balancer.md).",
    &[
        Key::new(
            "ForwardedHeaders",
            AnyText,
            "Which: `XForwardedFor`, `XForwardedHost`, `XForwardedProto`, `XForwardedPrefix`, several with commas \
             between them, `All`, or `None`.",
        )
        .default(r#""None""#)
        .example(r#""XForwardedFor, XForwardedProto""#),
        Key::new(
            "KnownProxies",
            Texts,
            "Addresses that are believed. A list that is written takes the default's place.",
        )
        .default(r#"["::1"]"#)
        .example(r#"["10.0.0.1"]"#),
        Key::new(
            "KnownIPNetworks",
            Texts,
            "Networks that are believed; `unix` is whoever connects to a socket in the file system.",
        )
        .default(r#"["127.0.0.0/8", "unix"]"#)
        .example(r#"["10.0.0.0/8"]"#),
        Key::new("KnownNetworks", Texts, "The same; its name before ASP.NET 10.")
            .example(r#"["10.0.0.0/8"]"#),
        Key::new(
            "ForwardLimit",
            Integer,
            "How many entries of a field are taken, from the last one on, each of which must have come from somebody \
             who is believed; positive. `null` is any number.",
        )
        .default("1"),
        Key::new(
            "AllowedHosts",
            Texts,
            "Hosts that `XForwardedHost` may name; another one is not taken.",
        )
        .default("any host")
        .example(r#"["example.com", "*.example.com"]"#),
        Key::new(
            "RequireHeaderSymmetry",
            Boolean,
            "Whether nothing is taken where the fields have not equally many entries.",
        )
        .default("false"),
        Key::new("ForwardedForHeaderName", Text, "The field of the client's address.")
            .default(r#""X-Forwarded-For""#),
        Key::new("ForwardedHostHeaderName", Text, "The field of the host.")
            .default(r#""X-Forwarded-Host""#),
        Key::new("ForwardedProtoHeaderName", Text, "The field of the scheme.")
            .default(r#""X-Forwarded-Proto""#),
        Key::new("ForwardedPrefixHeaderName", Text, "The field of the prefix.")
            .default(r#""X-Forwarded-Prefix""#),
        Key::new(
            "OriginalForHeaderName",
            Text,
            "The field that says the address of the connection, once another has been taken.",
        )
        .default(r#""X-Original-For""#),
        Key::new("OriginalHostHeaderName", Text, "The same of the host.")
            .default(r#""X-Original-Host""#),
        Key::new("OriginalProtoHeaderName", Text, "The same of the scheme.")
            .default(r#""X-Original-Proto""#),
    ],
);

pub(crate) static HTTPS_REDIRECTION: Object = Object::new(
    Origin::Code("HttpsRedirectionOptions"),
    "Requests that came by http are answered with where to ask by https, before files and routes. In force where anything \
     stands here.",
    &[
        Key::new("Enabled", Boolean, "Whether it is in force.")
            .default("whether anything stands here")
            .origin(Origin::Ostler),
        Key::new("HttpsPort", Integer, "The port to ask at.")
            .default("`HTTPS_PORT`, else that of the https endpoints")
            .example("443"),
        Key::new("RedirectStatusCode", Integer, "301, 302, 307 or 308.")
            .default("307")
            .example("308"),
    ],
);

pub(crate) static HSTS: Object = Object::new(
    Origin::Code("HstsOptions"),
    "`Strict-Transport-Security` in each response over https; a destination's own gives way to it. In force where anything \
     stands here.",
    &[
        Key::new("Enabled", Boolean, "Whether it is in force.")
            .default("whether anything stands here")
            .origin(Origin::Ostler),
        Key::new(
            "MaxAge",
            TimeSpan,
            "How long it is remembered, to whole seconds; zero has it forgotten.",
        )
        .default(r#""30.00:00:00""#)
        .example(r#""365.00:00:00""#),
        Key::new(
            "IncludeSubDomains",
            Boolean,
            "Whether it holds for what is below the host, too.",
        )
        .default("false"),
        Key::new(
            "Preload",
            Boolean,
            "Whether browsers may be delivered with it.",
        )
        .default("false"),
        Key::new("ExcludedHosts", Texts, "Hosts of which nothing is told.")
            .default(r#"["localhost", "127.0.0.1", "[::1]"]"#)
            .example(r#"["localhost"]"#),
    ],
);

pub(crate) static HOST_BUILDER: Object = Object::new(
    Origin::AspNet,
    "Of ASP.NET's host.",
    &[Key::new(
        "ReloadConfigOnChange",
        AnyText,
        "Files that change are always read again; `false` is warned of.",
    )
    .idle()],
);

pub(crate) static STATIC_FILES: Object = Object::new(
    Origin::Yarp,
    "Files that are served before requests are routed.",
    &[
        Key::new("Enabled", Boolean, "Whether there are any.").default("false"),
        Key::new(
            "ServeUnknownFileTypes",
            Boolean,
            "Whether files are served whose extension says no type.",
        )
        .default("false")
        .origin(Origin::Code("StaticFileOptions")),
    ],
);

pub(crate) static NAVIGATION_FALLBACK: Object = Object::new(
    Origin::Yarp,
    "The file for paths that no route matches and that are not named like a file.",
    &[Key::new("Path", Text, "The file, in the web root.").example(r#""/index.html""#)],
);
