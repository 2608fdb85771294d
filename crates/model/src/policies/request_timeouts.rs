//! Request timeouts: how long an exchange may take (reference A11.4).

use std::time::Duration;

use ostler_config::schema::{RequestTimeoutConfig, RequestTimeoutsConfig, RouteConfig};

use crate::ordinal;

const GATEWAY_TIMEOUT: u16 = 504;

/// The timeouts of a configuration.
#[derive(Debug, Default)]
pub(super) struct RequestTimeouts(RequestTimeoutsConfig);

/// How long the exchanges of a route may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTimeout {
    /// From the match of the route to the last byte of the response.
    pub timeout: Duration,
    /// What is answered when it is over and the response has not begun.
    pub status: u16,
}

impl RequestTimeouts {
    pub(super) fn resolve(config: &RequestTimeoutsConfig) -> Self {
        Self(config.clone())
    }

    /// What a route says, else the default.
    pub(super) fn of_route(&self, route: &RouteConfig) -> Option<RequestTimeout> {
        if let Some(timeout) = route.timeout {
            // Truncated to milliseconds, which may leave nothing.
            let timeout = Duration::from_millis(timeout.as_millis().try_into().ok()?);
            return Some(RequestTimeout {
                timeout,
                status: GATEWAY_TIMEOUT,
            });
        }
        let name = route.timeout_policy.as_deref();
        let policy = match name.filter(|name| !name.is_empty()) {
            None => self.0.default_policy.as_ref()?,
            Some(name) if ordinal::eq(name, "Disable") => return None,
            Some(name) => {
                let mut policies = self.0.policies.iter();
                &policies.find(|(known, _)| ordinal::eq(known, name))?.1
            }
        };
        let RequestTimeoutConfig { timeout, status } = *policy;
        Some(RequestTimeout {
            timeout: timeout?,
            status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routes_own_word_beats_the_default() {
        let policy = |seconds: Option<u64>, status| RequestTimeoutConfig {
            timeout: seconds.map(Duration::from_secs),
            status,
        };
        let timeouts = RequestTimeouts::resolve(&RequestTimeoutsConfig {
            policies: vec![
                ("Short".into(), policy(Some(1), 503)),
                ("endless".into(), policy(None, 504)),
            ],
            default_policy: Some(policy(Some(30), 504)),
        });
        let none = RequestTimeouts::default();
        let some = |timeout, status| Some(RequestTimeout { timeout, status });
        let second = Duration::from_secs(1);
        for (timeout, name, with_default, without) in [
            (None, None, some(30 * second, 504), None),
            (None, Some(""), some(30 * second, 504), None),
            (None, Some("sHORT"), some(second, 503), None),
            (None, Some("endless"), None, None),
            (None, Some("disABLE"), None, None),
            // Reference A11.4: below a millisecond is at once.
            (
                Some(Duration::from_micros(900)),
                None,
                some(Duration::ZERO, 504),
                some(Duration::ZERO, 504),
            ),
        ] {
            let route = RouteConfig {
                timeout,
                timeout_policy: name.map(str::to_owned),
                ..Default::default()
            };
            assert_eq!(timeouts.of_route(&route), with_default, "{route:?}");
            assert_eq!(none.of_route(&route), without, "{route:?}");
        }
    }
}
