//! The policies that routes name: `Cors`, `RateLimiter`, `RequestTimeouts`, `OutputCache`,
//! `Authentication`, `Authorization`. In ASP.NET an application's code makes most of them.

use super::Value::{
    AnyText, Boolean, Integer, Map, Member, Name, Object as Section, Objects, Text, Texts,
    TextsMap, TimeSpan,
};
use super::{Key, Object, Origin};

pub(crate) static CORS: Object = Object::new(
    Origin::Code("AddCors"),
    "What routes mean by `CorsPolicy`.",
    &[
        Key::new(
            "DefaultPolicy",
            Section(&CORS_POLICY),
            "What `Default` means.",
        ),
        Key::new("Policies", Map(&CORS_POLICY), "Policies by name."),
    ],
);

pub(crate) static CORS_POLICY: Object = Object::new(
    Origin::Code("CorsPolicyBuilder"),
    "What browsers let pages of other origins do. A list that is `[\"*\"]` is any.",
    &[
        Key::new(
            "Origins",
            Texts,
            "The origins, as `https://example.com` or `https://*.example.com`.",
        )
        .example(r#"["https://example.com"]"#),
        Key::new("Methods", Texts, "The methods that are allowed.").example(r#"["GET", "PUT"]"#),
        Key::new("Headers", Texts, "The request's fields that are allowed.")
            .example(r#"["X-Tenant"]"#),
        Key::new(
            "ExposedHeaders",
            Texts,
            "The response's fields that scripts may read.",
        )
        .example(r#"["X-Total"]"#),
        Key::new(
            "SupportsCredentials",
            Boolean,
            "Whether cookies and the like may be sent; not together with any origin.",
        )
        .default("false"),
        Key::new(
            "PreflightMaxAge",
            TimeSpan,
            "For how long a browser may keep what it was told.",
        )
        .example(r#""00:10:00""#),
    ],
);

pub(crate) static RATE_LIMITER: Object = Object::new(
    Origin::Code("AddRateLimiter"),
    "What routes mean by `RateLimiterPolicy`.",
    &[
        Key::new(
            "RejectionStatusCode",
            Integer,
            "What is answered beyond a limit, from 400 to 599.",
        )
        .default("503")
        .example("429"),
        Key::new(
            "GlobalLimiter",
            Section(&LIMITER),
            "A limiter for all requests, asked first.",
        ),
        Key::new("Policies", Map(&LIMITER), "Limiters by name."),
    ],
);

pub(crate) static LIMITER: Object = Object::new(
    Origin::Code("System.Threading.RateLimiting"),
    "A limiter, or as many alike as `PartitionBy` tells apart. `FixedWindow` has `PermitLimit` and `Window`, \
     `SlidingWindow` also `SegmentsPerWindow`, `TokenBucket` has `TokenLimit`, `TokensPerPeriod` and \
     `ReplenishmentPeriod`, `Concurrency` has `PermitLimit`; what its type has is required.",
    &[
        Key::new(
            "Type",
            Name(&["FixedWindow", "SlidingWindow", "TokenBucket", "Concurrency"]),
            "How requests are counted. Required.",
        ),
        Key::new(
            "PermitLimit",
            Integer,
            "Most requests in a window, or at once; at least 1.",
        )
        .example("100"),
        Key::new("Window", TimeSpan, "The window; positive.").example(r#""00:01:00""#),
        Key::new(
            "SegmentsPerWindow",
            Integer,
            "In how many steps a window slides; from 1 to 100.",
        )
        .example("6"),
        Key::new("TokenLimit", Integer, "Most tokens; at least 1.").example("100"),
        Key::new(
            "TokensPerPeriod",
            Integer,
            "How many come back in a period; at least 1.",
        )
        .example("10"),
        Key::new("ReplenishmentPeriod", TimeSpan, "How often; positive.").example(r#""00:00:01""#),
        Key::new("QueueLimit", Integer, "How many requests may wait.")
            .default("0")
            .example("10"),
        Key::new(
            "QueueProcessingOrder",
            Member(&["OldestFirst", "NewestFirst"]),
            "Which of those that wait comes next.",
        )
        .default(r#""OldestFirst""#),
        Key::new(
            "PartitionBy",
            Text,
            "Who has a limiter of its own: `None`, `ClientAddress`, `Host`, or `Header:<name>`.",
        )
        .default(r#""None""#)
        .example(r#""ClientAddress""#)
        .origin(Origin::Ostler),
    ],
);

pub(crate) static REQUEST_TIMEOUTS: Object = Object::new(
    Origin::Code("AddRequestTimeouts"),
    "What routes mean by `TimeoutPolicy`.",
    &[
        Key::new(
            "DefaultPolicy",
            Section(&REQUEST_TIMEOUT),
            "For routes that name none.",
        ),
        Key::new("Policies", Map(&REQUEST_TIMEOUT), "Policies by name."),
    ],
);

pub(crate) static REQUEST_TIMEOUT: Object = Object::new(
    Origin::Code("RequestTimeoutPolicy"),
    "How long an exchange may take.",
    &[
        Key::new(
            "Timeout",
            TimeSpan,
            "Positive, or `-00:00:00.001` for ever.",
        )
        .default("for ever"),
        Key::new(
            "TimeoutStatusCode",
            Integer,
            "What is answered then, from 200 to 599.",
        )
        .default("504"),
    ],
);

pub(crate) static OUTPUT_CACHE: Object = Object::new(
    Origin::Code("AddOutputCache"),
    "What routes mean by `OutputCachePolicy`.",
    &[Key::new(
        "Policies",
        Map(&OUTPUT_CACHE_POLICY),
        "Policies by name; nothing is cached yet.",
    )],
);

pub(crate) static OUTPUT_CACHE_POLICY: Object = Object::new(
    Origin::Code("OutputCachePolicyBuilder"),
    "What it says has no effect yet.",
    &[],
)
.open();

pub(crate) static AUTHENTICATION: Object = Object::new(
    Origin::AspNet,
    "How it is known who asks. Anything but the Bearer scheme is an error: nobody would be asked by it.",
    &[
        Key::new(
            "Schemes",
            Section(&SCHEMES),
            "Schemes by name; there is one.",
        ),
        Key::new(
            "DefaultScheme",
            Name(&["Bearer"]),
            "The scheme that is asked.",
        ),
        Key::new(
            "DefaultAuthenticateScheme",
            Name(&["Bearer"]),
            "The scheme that is asked.",
        ),
        Key::new(
            "DefaultChallengeScheme",
            Name(&["Bearer"]),
            "The scheme that a 401 names.",
        ),
    ],
);

pub(crate) static SCHEMES: Object = Object::new(
    Origin::AspNet,
    "Schemes by name; there is one.",
    &[Key::new(
        "Bearer",
        Section(&BEARER),
        "JSON Web Tokens (RFC 7519).",
    )],
);

pub(crate) static BEARER: Object = Object::new(
    Origin::AspNet,
    "JSON Web Tokens (RFC 7519), in the field `Authorization: Bearer`.",
    &[
        Key::new("ValidateIssuer", Boolean, "Whether it matters whose token it is.").default("true"),
        Key::new("ValidIssuer", AnyText, "Whose tokens are taken.").example(r#""https://issuer""#),
        Key::new("ValidIssuers", Texts, "Whose tokens are taken, too.")
            .example(r#"["https://issuer"]"#),
        Key::new("ValidateAudience", Boolean, "Whether it matters for whom a token is.").default("true"),
        Key::new("ValidAudience", AnyText, "For whom tokens must be.").example(r#""shop""#),
        Key::new("ValidAudiences", Texts, "For whom tokens may be, too.").example(r#"["shop"]"#),
        Key::new("SigningKeys", Objects(&SIGNING_KEY), "Symmetric keys."),
        Key::new(
            "RequireHttpsMetadata",
            Boolean,
            "Whether `JwksUrl` must be https.",
        )
        .default("true"),
        Key::new(
            "JwksFile",
            Text,
            "A file with the issuer's public keys (RFC 7517), read again when it changes. Excludes `JwksUrl`.",
        )
        .example(r#""/etc/ostler/keys.json""#)
        .origin(Origin::Ostler),
        Key::new(
            "JwksUrl",
            Text,
            "Where the issuer's public keys are fetched, every 12 hours and when a token names an unknown one.",
        )
        .example(r#""https://issuer/keys""#)
        .origin(Origin::Ostler),
        Key::new("Authority", AnyText, "Metadata are not looked up: an error.").idle(),
        Key::new("MetadataAddress", AnyText, "Metadata are not looked up: an error.").idle(),
        Key::new("ClockSkew", TimeSpan, "By how much clocks may differ.")
            .default(r#""00:05:00""#)
            .origin(Origin::Code("TokenValidationParameters")),
        Key::new("ValidateLifetime", Boolean, "Whether a token's times count.")
            .default("true")
            .origin(Origin::Code("TokenValidationParameters")),
        Key::new("RequireExpirationTime", Boolean, "Whether a token must end some time.")
            .default("true")
            .origin(Origin::Code("TokenValidationParameters")),
    ],
);

pub(crate) static SIGNING_KEY: Object = Object::new(
    Origin::AspNet,
    "A symmetric key, as `dotnet user-jwts` writes it.",
    &[
        Key::new("Id", AnyText, "What a token's `kid` may name.").example(r#""key-1""#),
        Key::new("Issuer", AnyText, "Whose tokens it signs.").example(r#""https://issuer""#),
        Key::new(
            "Value",
            Text,
            "The key in base64, 16 bytes at least. Required.",
        )
        .example(r#""MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=""#),
        Key::new("Length", Integer, "Without effect.")
            .example("32")
            .idle(),
    ],
);

pub(crate) static AUTHORIZATION: Object = Object::new(
    Origin::Code("AddAuthorization"),
    "What routes mean by `AuthorizationPolicy`.",
    &[
        Key::new(
            "DefaultPolicy",
            Section(&AUTHORIZATION_POLICY),
            "What `Default` means.",
        )
        .default("any user"),
        Key::new(
            "FallbackPolicy",
            Section(&AUTHORIZATION_POLICY),
            "For routes that name none.",
        )
        .default("everybody is let in"),
        Key::new("Policies", Map(&AUTHORIZATION_POLICY), "Policies by name."),
    ],
);

pub(crate) static AUTHORIZATION_POLICY: Object = Object::new(
    Origin::Code("AuthorizationPolicyBuilder"),
    "What is asked of a user. All of it must hold, and of each list any value. An unknown key is an error.",
    &[
        Key::new(
            "RequireAuthenticatedUser",
            Boolean,
            "That it is known who asks, which holds anyway.",
        ),
        Key::new(
            "RequireClaims",
            TextsMap,
            "Claims, each with the values that will do; none is any value.",
        )
        .example(r#"{ "tenant": ["blue", "green"] }"#),
        Key::new("RequireRoles", Texts, "Roles, any of which will do.").example(r#"["admin"]"#),
        Key::new("RequireScopes", Texts, "Scopes, any of which will do.")
            .example(r#"["orders.read"]"#),
    ],
);
