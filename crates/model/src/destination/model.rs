//! A destination as it is in force.

use ostler_config::schema::DestinationConfig;

use crate::ordinal;

/// The metadata key that makes a destination a delegated one (YARP's name, compared without case).
const QUEUE_KEY: &str = "HttpSysDelegationQueue";

/// What the configuration says of a destination; replaced whole when that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationModel {
    /// The destination as it is written.
    pub config: DestinationConfig,
    /// The request queue that requests are delegated to: the metadata `HttpSysDelegationQueue`.
    /// `Some` whenever the key is there, even with an empty text, as for YARP; `None` means that
    /// requests are forwarded.
    pub queue: Option<String>,
}

impl DestinationModel {
    /// Resolves what is written.
    pub fn new(config: DestinationConfig) -> Self {
        let named = config
            .metadata
            .iter()
            .find(|(key, _)| ordinal::eq(key, QUEUE_KEY));
        let queue = named.map(|(_, name)| name.clone());
        Self { config, queue }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(metadata: &[(&str, &str)]) -> DestinationModel {
        let metadata = metadata
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        DestinationModel::new(DestinationConfig {
            metadata: metadata.collect(),
            ..DestinationConfig::default()
        })
    }

    #[test]
    fn the_queue_is_found_without_case_and_even_when_its_name_is_empty() {
        assert_eq!(model(&[]).queue, None);
        assert_eq!(model(&[("Other", "x")]).queue, None);
        assert_eq!(
            model(&[("HttpSysDelegationQueue", "Q")]).queue.as_deref(),
            Some("Q")
        );
        assert_eq!(
            model(&[("httpsysdelegationqueue", "Q")]).queue.as_deref(),
            Some("Q")
        );
        assert_eq!(
            model(&[("HttpSysDelegationQueue", "")]).queue.as_deref(),
            Some("")
        );
    }
}
