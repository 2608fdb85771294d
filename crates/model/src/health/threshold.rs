//! What a cluster's metadata says of its health policies (reference A1.13).

use ostler_config::schema::Metadata;

use crate::ordinal;

const CONSECUTIVE_FAILURES: &str = "ConsecutiveFailuresHealthPolicy.Threshold";
const FAILURE_RATE: &str = "TransportFailureRateHealthPolicy.RateLimit";

/// Parsed once a model, which is replaced when a text changes; `None` is the policy's default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct HealthThresholds {
    pub(crate) consecutive_failures: Option<f64>,
    pub(crate) failure_rate: Option<f64>,
}

impl HealthThresholds {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let number = |wanted: &str| {
            let named = metadata.iter().find(|(key, _)| ordinal::eq(key, wanted));
            // What is no number is silently the default.
            named.and_then(|(_, text)| text.trim().parse().ok())
        };
        Self {
            consecutive_failures: number(CONSECUTIVE_FAILURES),
            failure_rate: number(FAILURE_RATE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference A1.13.
    #[test]
    fn numbers_are_read_and_what_is_none_is_the_default() {
        let of = |key: &str, text: &str| {
            HealthThresholds::of(&[(key.to_owned(), text.to_owned())].into_iter().collect())
        };
        for (text, number) in [
            ("3", Some(3.0)),
            (" 2.5 ", Some(2.5)),
            ("1e1", Some(10.0)),
            ("-1", Some(-1.0)),
            ("", None),
            ("three", None),
            ("0,5", None),
        ] {
            let thresholds = of("consecutivefailureshealthpolicy.threshold", text);
            assert_eq!(thresholds.consecutive_failures, number, "{text:?}");
            assert_eq!(thresholds.failure_rate, None);
            let thresholds = of(FAILURE_RATE, text);
            assert_eq!(thresholds.failure_rate, number, "{text:?}");
        }
        assert_eq!(of("Threshold", "3"), HealthThresholds::default());
    }
}
