//! `RequestTimeouts`: reading and validating (reference A11.4).

use std::time::Duration;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, TimeSpan};
use crate::reader::Reader;
use crate::schema::{RequestTimeoutConfig, RequestTimeoutsConfig};
use crate::tree::key::same;
use crate::tree::{ConfigurationTree, Section};

const GATEWAY_TIMEOUT: u16 = 504;

/// Reads `RequestTimeouts`.
pub(super) fn read(
    tree: &ConfigurationTree,
    diagnostics: &mut Diagnostics,
) -> RequestTimeoutsConfig {
    let mut reader = Reader::new(
        tree.section("RequestTimeouts"),
        &keys::REQUEST_TIMEOUTS,
        diagnostics,
    );
    let default = reader.child("DefaultPolicy");
    let default_policy = default
        .has_children()
        .then(|| policy(default, reader.diagnostics));
    let mut policies = Vec::new();
    for (name, section) in reader.entries("Policies") {
        if same(name, "Disable") {
            let remedy = "choose another name".to_owned();
            let message = format!("{name:?} is reserved: it means no timeout");
            reader.error(&section, message, Some(remedy)); // R27
            continue;
        }
        policies.push((name.to_owned(), policy(section, reader.diagnostics)));
    }
    reader.finish();
    RequestTimeoutsConfig {
        policies,
        default_policy,
    }
}

fn policy(section: Section<'_>, diagnostics: &mut Diagnostics) -> RequestTimeoutConfig {
    let mut reader = Reader::new(section, &keys::REQUEST_TIMEOUT, diagnostics);
    let timeout = reader.parsed("Timeout", |text| match TimeSpan::parse(text)? {
        TimeSpan::INFINITE => Ok(None),
        span => span
            .positive()
            .map(|timeout| Some(whole_milliseconds(timeout)))
            .ok_or_else(|| format!("{text:?} is neither positive nor -00:00:00.001, no timeout")),
    });
    let status = reader.parsed("TimeoutStatusCode", |text| {
        match u16::try_from(leaf::int32(text)?) {
            Ok(status @ 200..=599) => Ok(status),
            _ => Err(format!("{text:?} is not a status from 200 to 599")),
        }
    });
    reader.finish();
    RequestTimeoutConfig {
        timeout: timeout.flatten(),
        status: status.unwrap_or(GATEWAY_TIMEOUT),
    }
}

/// Reference A11.4: what is below a millisecond is cut off, and may leave nothing.
fn whole_milliseconds(timeout: Duration) -> Duration {
    let nanos = timeout.subsec_nanos();
    timeout - Duration::from_nanos(u64::from(nanos % 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (RequestTimeoutsConfig, Vec<String>) {
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", text).unwrap();
        let mut diagnostics = Diagnostics::default();
        let config = read(&tree, &mut diagnostics);
        let errors = diagnostics.errors().map(|error| error.path.clone());
        (config, errors.collect())
    }

    #[test]
    fn policies_have_a_time_and_a_status() {
        let (config, errors) = read_text(
            r#"{ "RequestTimeouts": { "DefaultPolicy": { "Timeout": "00:00:30" }, "Policies": {
                 "short": { "Timeout": "00:00:00.0015", "TimeoutStatusCode": 503 },
                 "none": { "Timeout": "-00:00:00.001" } } } }"#,
        );
        assert_eq!(errors, Vec::<String>::new());
        let of = |timeout, status| RequestTimeoutConfig { timeout, status };
        let default = of(Some(Duration::from_secs(30)), 504);
        assert_eq!(config.default_policy, Some(default));
        let short = of(Some(Duration::from_millis(1)), 503);
        assert_eq!(
            config.policies,
            [("none".into(), of(None, 504)), ("short".into(), short)]
        );
    }

    // R27.
    #[test]
    fn mistakes_are_errors_at_their_place() {
        for (policies, path) in [
            (r#""disABLE": { "Timeout": "00:00:01" }"#, "disABLE"),
            (r#""a": { "Timeout": "00:00:00" }"#, "a:Timeout"),
            (r#""a": { "Timeout": "-00:00:01" }"#, "a:Timeout"),
            (r#""a": { "Timeout": "soon" }"#, "a:Timeout"),
            (r#""a": { "TimeoutStatusCode": 99 }"#, "a:TimeoutStatusCode"),
        ] {
            let text = format!(r#"{{ "RequestTimeouts": {{ "Policies": {{ {policies} }} }} }}"#);
            let (_, errors) = read_text(&text);
            assert_eq!(
                errors,
                [format!("RequestTimeouts:Policies:{path}")],
                "{policies}"
            );
        }
    }
}
