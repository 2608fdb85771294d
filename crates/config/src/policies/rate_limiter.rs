//! `RateLimiter`: reading and validating. In ASP.NET this is code (`AddRateLimiter`); the keys are
//! named after the properties of its options and of those of `System.Threading.RateLimiting`.

use super::reserved_names;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, Members, TimeSpan};
use crate::reader::Reader;
use crate::schema::{
    LimiterAlgorithm, LimiterConfig, PartitionBy, QueueProcessingOrder, RateLimiterConfig,
};
use crate::tree::{ConfigurationTree, Section};

/// Each partition counts each segment.
const MOST_SEGMENTS: u32 = 100;

/// A type: its keys, and how they make an algorithm.
struct Kind {
    name: &'static str,
    keys: &'static [&'static str],
    read: fn(&mut Reader<'_, '_>) -> Option<LimiterAlgorithm>,
}

/// The keys of all types.
const KEYS: [&str; 6] = [
    "PermitLimit",
    "Window",
    "SegmentsPerWindow",
    "TokenLimit",
    "TokensPerPeriod",
    "ReplenishmentPeriod",
];

const KINDS: [Kind; 4] = [
    Kind {
        name: "FixedWindow",
        keys: &["PermitLimit", "Window"],
        read: |reader| {
            let (permit_limit, window) = (count(reader, "PermitLimit"), span(reader, "Window"));
            Some(LimiterAlgorithm::FixedWindow {
                permit_limit: permit_limit?,
                window: window?,
            })
        },
    },
    Kind {
        name: "SlidingWindow",
        keys: &["PermitLimit", "Window", "SegmentsPerWindow"],
        read: |reader| {
            let (permit_limit, window) = (count(reader, "PermitLimit"), span(reader, "Window"));
            let segments = count(reader, "SegmentsPerWindow")?;
            let (permit_limit, window) = (permit_limit?, window?);
            if segments > MOST_SEGMENTS || (window / segments).is_zero() {
                let at = reader.section.child("SegmentsPerWindow");
                let message =
                    format!("{segments} are more than {MOST_SEGMENTS}, or than make sense");
                reader.error(&at, message, None);
            }
            Some(LimiterAlgorithm::SlidingWindow {
                permit_limit,
                window,
                segments_per_window: segments,
            })
        },
    },
    Kind {
        name: "TokenBucket",
        keys: &["TokenLimit", "TokensPerPeriod", "ReplenishmentPeriod"],
        read: |reader| {
            let token_limit = count(reader, "TokenLimit");
            let tokens_per_period = count(reader, "TokensPerPeriod");
            let replenishment_period = span(reader, "ReplenishmentPeriod")?;
            Some(LimiterAlgorithm::TokenBucket {
                token_limit: token_limit?,
                tokens_per_period: tokens_per_period?,
                replenishment_period,
            })
        },
    },
    Kind {
        name: "Concurrency",
        keys: &["PermitLimit"],
        read: |reader| {
            let permit_limit = count(reader, "PermitLimit")?;
            Some(LimiterAlgorithm::Concurrency { permit_limit })
        },
    },
];

const ORDERS: &Members<QueueProcessingOrder> = &[
    ("OldestFirst", 0, QueueProcessingOrder::OldestFirst),
    ("NewestFirst", 1, QueueProcessingOrder::NewestFirst),
];

/// Reads `RateLimiter`.
pub(super) fn read(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> RateLimiterConfig {
    let mut reader = Reader::new(
        tree.section("RateLimiter"),
        &keys::RATE_LIMITER,
        diagnostics,
    );
    let defaults = RateLimiterConfig::default();
    let status = reader.parsed("RejectionStatusCode", |text| {
        match u16::try_from(leaf::int32(text)?) {
            Ok(status @ 400..=599) => Ok(status),
            _ => Err(format!("{text:?} is not from 400 to 599")),
        }
    });
    let global = reader.child("GlobalLimiter");
    let global_limiter = match global.is_empty() {
        true => None,
        false => limiter(global, reader.diagnostics),
    };
    let mut policies = Vec::new();
    for (name, section) in reader.entries("Policies") {
        reserved_names::check(&mut reader, &section, name, &["Default", "Disable"]); // R24
        if let Some(limiter) = limiter(section, reader.diagnostics) {
            policies.push((name.to_owned(), limiter));
        }
    }
    reader.finish();
    RateLimiterConfig {
        rejection_status_code: status.unwrap_or(defaults.rejection_status_code),
        global_limiter,
        policies,
    }
}

fn limiter(section: Section<'_>, diagnostics: &mut Diagnostics) -> Option<LimiterConfig> {
    let mut reader = Reader::new(section, &keys::LIMITER, diagnostics);
    let names = KINDS.map(|kind| kind.name);
    let name = reader.name("Type", "limiter", &names);
    let kind = KINDS.into_iter().find(|kind| {
        let is_it = |name: &String| name.eq_ignore_ascii_case(kind.name);
        name.as_ref().is_some_and(is_it)
    });
    let at = reader.section.clone();
    if name.is_none() {
        let remedy = format!("set it to one of {}", names.join(", "));
        reader.error(&at.child("Type"), "the limiter has no Type", Some(remedy));
    }
    if let Some(kind) = &kind {
        for key in KEYS.iter().filter(|key| !kind.keys.contains(key)) {
            let stray = at.child(key);
            if !stray.is_empty() {
                let message = format!("{key} has no effect on a limiter of type {}", kind.name);
                let remedy = format!("it has {}", kind.keys.join(", "));
                reader.warn(&stray, message, Some(remedy));
            }
        }
    }
    let algorithm = kind.and_then(|kind| (kind.read)(&mut reader));
    let queue_limit = reader.parsed("QueueLimit", |text| {
        u32::try_from(leaf::int32(text)?).map_err(|_| format!("{text:?} is negative"))
    });
    let order = reader.parsed("QueueProcessingOrder", |text| leaf::member(text, ORDERS));
    let partition_by = reader.parsed("PartitionBy", partition_by);
    reader.finish();
    Some(LimiterConfig {
        algorithm: algorithm?,
        queue_limit: queue_limit.unwrap_or_default(),
        queue_processing_order: order.unwrap_or_default(),
        partition_by: partition_by.unwrap_or_default(),
    })
}

/// A number that must be there and be at least 1, as `System.Threading.RateLimiting` wants it.
fn count(reader: &mut Reader<'_, '_>, key: &'static str) -> Option<u32> {
    needed(reader, key, |text| {
        match u32::try_from(leaf::int32(text)?) {
            Ok(count @ 1..) => Ok(count),
            _ => Err(format!("{text:?} is not positive")),
        }
    })
}

fn span(reader: &mut Reader<'_, '_>, key: &'static str) -> Option<std::time::Duration> {
    needed(reader, key, |text| {
        let span = TimeSpan::parse(text)?.positive();
        span.ok_or_else(|| format!("{text:?} is not positive"))
    })
}

fn needed<T>(
    reader: &mut Reader<'_, '_>,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let at = reader.section.child(key);
    if at.is_empty() {
        let message = format!("the limiter has no {key}");
        reader.error(&at, message, Some(format!("set {key}")));
        return None;
    }
    reader.parsed(key, parse)
}

fn partition_by(text: &str) -> Result<PartitionBy, String> {
    let (word, name) = match text.split_once(':') {
        Some((word, name)) => (word, Some(name)),
        None => (text, None),
    };
    match (word.to_ascii_lowercase().as_str(), name) {
        ("none", None) => Ok(PartitionBy::None),
        ("clientaddress", None) => Ok(PartitionBy::ClientAddress),
        ("host", None) => Ok(PartitionBy::Host),
        ("header", Some(name)) if leaf::is_token(name) => Ok(PartitionBy::Header(name.to_owned())),
        _ => Err(format!(
            "{text:?} is not one of None, ClientAddress, Host, Header:<name of a field>"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read_json(json: &str) -> (RateLimiterConfig, Vec<String>) {
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", &format!(r#"{{ "RateLimiter": {json} }}"#))
            .unwrap();
        let mut diagnostics = Diagnostics::default();
        let config = read(&tree, &mut diagnostics);
        let said = diagnostics.errors().chain(diagnostics.warnings());
        (config, said.map(ToString::to_string).collect())
    }

    #[test]
    fn everything_is_read() {
        let (config, said) = read_json(
            r#"{ "RejectionStatusCode": 429,
                "GlobalLimiter": { "Type": "concurrency", "PermitLimit": 7, "QueueLimit": 3,
                    "QueueProcessingOrder": "NewestFirst" },
                "Policies": {
                    "f": { "Type": "FixedWindow", "PermitLimit": 2, "Window": "00:00:10", "PartitionBy": "clientAddress" },
                    "s": { "Type": "SlidingWindow", "PermitLimit": 2, "Window": "00:00:10", "SegmentsPerWindow": 5,
                        "PartitionBy": "Header:X-Key" },
                    "t": { "Type": "TokenBucket", "TokenLimit": 9, "TokensPerPeriod": 2,
                        "ReplenishmentPeriod": "00:00:01", "PartitionBy": "Host" } } }"#,
        );
        assert_eq!(said, Vec::<String>::new());
        let second = Duration::from_secs(1);
        let limiter = |algorithm, partition_by| LimiterConfig {
            algorithm,
            queue_limit: 0,
            queue_processing_order: QueueProcessingOrder::OldestFirst,
            partition_by,
        };
        assert_eq!(config.rejection_status_code, 429);
        assert_eq!(
            config.global_limiter,
            Some(LimiterConfig {
                queue_limit: 3,
                queue_processing_order: QueueProcessingOrder::NewestFirst,
                ..limiter(
                    LimiterAlgorithm::Concurrency { permit_limit: 7 },
                    PartitionBy::None
                )
            })
        );
        let fixed = LimiterAlgorithm::FixedWindow {
            permit_limit: 2,
            window: 10 * second,
        };
        let sliding = LimiterAlgorithm::SlidingWindow {
            permit_limit: 2,
            window: 10 * second,
            segments_per_window: 5,
        };
        let bucket = LimiterAlgorithm::TokenBucket {
            token_limit: 9,
            tokens_per_period: 2,
            replenishment_period: second,
        };
        let by_header = PartitionBy::Header("X-Key".to_owned());
        assert_eq!(
            config.policies,
            [
                ("f".to_owned(), limiter(fixed, PartitionBy::ClientAddress)),
                ("s".to_owned(), limiter(sliding, by_header)),
                ("t".to_owned(), limiter(bucket, PartitionBy::Host)),
            ]
        );
        assert_eq!(read_json("{}").0, RateLimiterConfig::default());
        assert_eq!(RateLimiterConfig::default().rejection_status_code, 503);
    }

    #[test]
    fn mistakes_are_told_with_their_path() {
        for (limiter, wanted) in [
            (
                r#""Type": "FixedWindow""#,
                "error: RateLimiter:Policies:p:PermitLimit: the limiter has no PermitLimit",
            ),
            (
                r#""Type": "FixedWindow", "PermitLimit": 1"#,
                "error: RateLimiter:Policies:p:Window: the limiter has no Window",
            ),
            (
                r#""Type": "FixedWindow", "PermitLimit": 0, "Window": "0:1""#,
                "error: RateLimiter:Policies:p:PermitLimit: \"0\" is not positive",
            ),
            (
                r#""Type": "FixedWindow", "PermitLimit": 1, "Window": "0:0""#,
                "error: RateLimiter:Policies:p:Window: \"0:0\" is not positive",
            ),
            (
                r#""Type": "SlidingWindow", "PermitLimit": 1, "Window": "0:1""#,
                "error: RateLimiter:Policies:p:SegmentsPerWindow: the limiter has no",
            ),
            (
                r#""Type": "SlidingWindow", "PermitLimit": 1, "Window": "0:1", "SegmentsPerWindow": 101"#,
                "error: RateLimiter:Policies:p:SegmentsPerWindow: 101 are more than 100",
            ),
            (
                r#""Type": "TokenBucket", "TokenLimit": 1, "TokensPerPeriod": 1, "ReplenishmentPeriod": "-1""#,
                "error: RateLimiter:Policies:p:ReplenishmentPeriod: \"-1\" is not positive",
            ),
            (
                r#""Type": "Concurency", "PermitLimit": 1"#,
                "error: RateLimiter:Policies:p:Type: there is no limiter \"Concurency\"",
            ),
            (
                r#""PermitLimit": 1"#,
                "error: RateLimiter:Policies:p:Type: the limiter has no Type",
            ),
            (
                r#""Type": "Concurrency", "PermitLimit": 1, "QueueLimit": -1"#,
                "error: RateLimiter:Policies:p:QueueLimit: \"-1\" is negative",
            ),
            (
                r#""Type": "Concurrency", "PermitLimit": 1, "QueueProcessingOrder": "x""#,
                "error: RateLimiter:Policies:p:QueueProcessingOrder: \"x\" is not one of",
            ),
            (
                r#""Type": "Concurrency", "PermitLimit": 1, "PartitionBy": "Header:""#,
                "error: RateLimiter:Policies:p:PartitionBy: \"Header:\" is not one of",
            ),
            (
                r#""Type": "Concurrency", "PermitLimit": 1, "Window": "0:1""#,
                "warning: RateLimiter:Policies:p:Window: Window has no effect on a limiter of type Concurrency",
            ),
            (
                r#""Type": "Concurrency", "PermitLimits": 1"#,
                "warning: RateLimiter:Policies:p:PermitLimits: the key \"PermitLimits\" is unknown",
            ),
        ] {
            let json = format!(r#"{{ "Policies": {{ "p": {{ {limiter} }} }} }}"#);
            let (_, said) = read_json(&json);
            let told = said.iter().filter(|line| line.starts_with(wanted));
            assert_eq!(told.count(), 1, "{limiter}: {said:?}");
        }
        for (json, wanted) in [
            // R24
            (
                r#"{ "Policies": { "default": { "Type": "Concurrency", "PermitLimit": 1 } } }"#,
                "error: RateLimiter:Policies:default: the name \"default\" is reserved",
            ),
            (
                r#"{ "RejectionStatusCode": 200 }"#,
                "error: RateLimiter:RejectionStatusCode: \"200\" is not from 400 to 599",
            ),
            (
                r#"{ "RejectionStatus": 429 }"#,
                "warning: RateLimiter:RejectionStatus: the key \"RejectionStatus\" is unknown and has no effect",
            ),
        ] {
            let (_, said) = read_json(json);
            assert!(said[0].starts_with(wanted), "{json}: {said:?}");
        }
    }
}
