//! The outermost level.

use super::Value::{AnyText, Anything, Boolean, Integer, Object as Section, Text};
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
        Key::new("Kestrel", Section(&KESTREL), "Endpoints, certificates, limits."),
        Key::new("HttpSys", Section(&HTTP_SYS), "Limits by http.sys' names."),
        Key::new("Ostler", Section(&OSTLER), "What nobody else has a setting for.")
            .origin(Origin::Ostler),
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
        Key::new("FORWARDEDHEADERS_ENABLED", AnyText, "Not implemented yet; `true` is warned of.").idle(),
        Key::new("HTTPS_PORT", AnyText, "Requests are not redirected to https; warned of.").idle(),
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
