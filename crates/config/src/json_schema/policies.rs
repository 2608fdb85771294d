//! The policies that routes name: `Cors`, `RateLimiter`, `RequestTimeouts`, `Authentication`,
//! `Authorization`.

use serde_json::Value;

use super::shape::{
    boolean, integer, list, map, member, object, open, policy, text, text_like, texts, time_span,
};

pub(super) fn cors() -> Value {
    let policy = || {
        object(
            "A policy. A list that is [ \"*\" ] is any.",
            vec![
                (
                    "Origins",
                    texts("* or origins such as https://*.example.com."),
                ),
                ("Methods", texts("* or what a preflight response lists.")),
                ("Headers", texts("* or what a preflight response lists.")),
                (
                    "ExposedHeaders",
                    texts("The response's fields that scripts may read."),
                ),
                (
                    "SupportsCredentials",
                    boolean("Not together with any origin."),
                ),
                (
                    "PreflightMaxAge",
                    time_span("For how long a preflight response may be kept."),
                ),
            ],
        )
    };
    object(
        "What routes mean by CorsPolicy.",
        vec![
            ("DefaultPolicy", policy()),
            ("Policies", map("Policies by name.", policy())),
        ],
    )
}

pub(super) fn rate_limiter() -> Value {
    let limiter = || {
        object(
            "A limiter, or as many alike as PartitionBy tells apart.",
            vec![
                (
                    "Type",
                    policy(
                        "Required.",
                        &["FixedWindow", "SlidingWindow", "TokenBucket", "Concurrency"],
                    ),
                ),
                ("PermitLimit", integer("At least 1.")),
                ("Window", time_span("Positive.")),
                ("SegmentsPerWindow", integer("At least 1.")),
                ("TokenLimit", integer("At least 1.")),
                ("TokensPerPeriod", integer("At least 1.")),
                ("ReplenishmentPeriod", time_span("Positive.")),
                (
                    "QueueLimit",
                    integer("How many requests may wait; none by default."),
                ),
                (
                    "QueueProcessingOrder",
                    member("Which comes next.", &["OldestFirst", "NewestFirst"]),
                ),
                (
                    "PartitionBy",
                    text_like(
                        "None, ClientAddress, Host or Header:<name>.",
                        "ClientAddress",
                    ),
                ),
            ],
        )
    };
    object(
        "What routes mean by RateLimiterPolicy.",
        vec![
            (
                "RejectionStatusCode",
                integer("From 400 to 599; 503 by default."),
            ),
            ("GlobalLimiter", limiter()),
            ("Policies", map("Limiters by name.", limiter())),
        ],
    )
}

pub(super) fn request_timeouts() -> Value {
    let policy = || {
        object(
            "How long an exchange may take.",
            vec![
                ("Timeout", time_span("Positive, or -00:00:00.001 for none.")),
                ("TimeoutStatusCode", integer("504 by default.")),
            ],
        )
    };
    object(
        "What routes mean by TimeoutPolicy.",
        vec![
            ("DefaultPolicy", policy()),
            ("Policies", map("Policies by name.", policy())),
        ],
    )
}

pub(super) fn output_cache() -> Value {
    let policy = open("Not implemented yet.", vec![]);
    object(
        "What routes mean by OutputCachePolicy.",
        vec![("Policies", map("Policies by name.", policy))],
    )
}

pub(super) fn authentication() -> Value {
    let key = object(
        "A symmetric key, as `dotnet user-jwts` writes it.",
        vec![
            ("Id", text("What a token's kid may name.")),
            ("Issuer", text("Whose tokens it signs.")),
            (
                "Value",
                text_like(
                    "The key in base64.",
                    "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
                ),
            ),
            ("Length", integer("Without effect.")),
        ],
    );
    let bearer = object(
        "JSON Web Tokens (RFC 7519).",
        vec![
            ("ValidateIssuer", boolean("True by default.")),
            ("ValidIssuer", text("Whose tokens are taken.")),
            ("ValidIssuers", texts("Whose tokens are taken.")),
            ("ValidateAudience", boolean("True by default.")),
            ("ValidAudience", text("For whom tokens must be.")),
            ("ValidAudiences", texts("For whom tokens must be.")),
            ("SigningKeys", list("Symmetric keys.", key)),
            ("RequireHttpsMetadata", boolean("True by default.")),
            (
                "JwksFile",
                text_like("A file with the issuer's public keys.", "/etc/keys.json"),
            ),
            (
                "JwksUrl",
                text_like("A URL of the issuer's public keys.", "https://issuer/keys"),
            ),
            ("Authority", text("Not followed: an error.")),
            ("MetadataAddress", text("Not followed: an error.")),
            ("ClockSkew", time_span("5 minutes by default.")),
            ("ValidateLifetime", boolean("True by default.")),
            ("RequireExpirationTime", boolean("True by default.")),
        ],
    );
    let schemes = open("Only Bearer is read.", vec![("Bearer", bearer)]);
    open("How it is known who asks.", vec![("Schemes", schemes)])
}

pub(super) fn authorization() -> Value {
    let policy = || {
        object(
            "What is asked of a user. All of it must hold, and any value of each list.",
            vec![
                ("RequireAuthenticatedUser", boolean("Holds anyway.")),
                (
                    "RequireClaims",
                    map(
                        "Claims, each with the values allowed; empty: any.",
                        texts(""),
                    ),
                ),
                ("RequireRoles", texts("Any of which will do.")),
                ("RequireScopes", texts("Any of which will do.")),
            ],
        )
    };
    object(
        "What routes mean by AuthorizationPolicy.",
        vec![
            ("DefaultPolicy", policy()),
            ("FallbackPolicy", policy()),
            ("Policies", map("Policies by name.", policy())),
        ],
    )
}
