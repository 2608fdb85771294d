//! Keys of YARP before 1.0, and names that others have for one: what they are called now.

use crate::reader::Reader;
use crate::tree::Section;
use crate::tree::key::same;

/// The object that had the key (`*` is an id), the key, and what to write instead.
type Renamed = (&'static str, &'static str, &'static str);

const RENAMED: &[Renamed] = &[
    ("ReverseProxy", "Backends", "it is called Clusters now"),
    ("Routes:*", "BackendId", "it is called ClusterId now"),
    (
        "Clusters:*",
        "LoadBalancing",
        "write its Mode as LoadBalancingPolicy",
    ),
    (
        "Clusters:*",
        "HttpClientOptions",
        "it is called HttpClient now",
    ),
    (
        "Clusters:*",
        "HttpRequestOptions",
        "it is called HttpRequest now",
    ),
    (
        "Clusters:*",
        "HealthCheckOptions",
        "it is called HealthCheck now",
    ),
    ("Clusters:*", "Backends", "it is called Destinations now"),
    ("HttpRequest", "Timeout", "it is called ActivityTimeout now"),
    (
        "HttpRequest",
        "RequestTimeout",
        "it is called ActivityTimeout now",
    ),
    ("SessionAffinity", "Mode", "it is called Policy now"),
    ("SessionAffinity", "Provider", "it is called Policy now"),
    (
        "SessionAffinity",
        "Settings",
        "write the name of the cookie or header as AffinityKeyName, and a cookie's attributes in Cookie",
    ),
    ("HealthCheck", "Enabled", "write it in Active or in Passive"),
    ("HealthCheck", "Interval", "write it in Active"),
    ("HealthCheck", "Timeout", "write it in Active"),
    ("HealthCheck", "Path", "write it in Active"),
    (
        "HealthCheck",
        "Port",
        "write a URL with the port as Health of the destination",
    ),
    (
        "Active",
        "Threshold",
        "write it in the cluster's Metadata as ConsecutiveFailuresHealthPolicy.Threshold",
    ),
    (
        "Passive",
        "RateLimit",
        "write it in the cluster's Metadata as TransportFailureRateHealthPolicy.RateLimit",
    ),
    (
        "Passive",
        "Threshold",
        "write it in the cluster's Metadata as TransportFailureRateHealthPolicy.RateLimit",
    ),
    (
        "HttpClient",
        "AcceptAnyServerCertificate",
        "it is called DangerousAcceptAnyServerCertificate",
    ),
    (
        "HttpClient",
        "PropagateActivityContext",
        "there is no such switch any more: remove it",
    ),
    (
        "HttpClient",
        "ActivityContextHeaders",
        "there is no such switch any more: remove it",
    ),
];

/// What to write instead of a key of the object at `path`.
pub(crate) fn remedy(path: &str, key: &str) -> Option<&'static str> {
    let is_owner = |owner: &str| match owner.strip_suffix(":*") {
        Some(parent) => {
            let mut levels = path.rsplit(':').skip(1);
            levels.next().is_some_and(|level| same(level, parent))
        }
        None => path
            .rsplit(':')
            .next()
            .is_some_and(|last| same(last, owner)),
    };
    let mut known = RENAMED.iter();
    known
        .find(|(owner, name, _)| same(name, key) && is_owner(owner))
        .map(|(.., remedy)| *remedy)
}

/// Metadata are free-form; some keys of theirs mean something, and one that resembles them means nothing.
pub(crate) fn warn_of_metadata(
    reader: &mut Reader<'_, '_>,
    at: &Section<'_>,
    meant: &[(&str, &str)],
) {
    for (name, item) in at.children() {
        let resembles = |word: &str| name.to_ascii_lowercase().contains(word);
        let near = meant
            .iter()
            .find(|(known, word)| resembles(word) && !same(known, name));
        if let Some((known, _)) = near
            && !meant.iter().any(|(known, _)| same(known, name))
        {
            let message = format!("the metadata {name:?} mean nothing here");
            reader.warn(&item, message, Some(format!("did you mean {known}?")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfigurationTree, load};

    #[test]
    fn a_key_of_before_hears_its_new_name() {
        for (path, key, words) in [
            (
                "ReverseProxy:Clusters:c:HttpRequest",
                "timeout",
                "ActivityTimeout",
            ),
            ("Yarp:Clusters:c:SessionAffinity", "Mode", "Policy"),
            (
                "ReverseProxy:Clusters:c",
                "LoadBalancing",
                "LoadBalancingPolicy",
            ),
            ("ReverseProxy:Routes:r", "BackendId", "ClusterId"),
        ] {
            let remedy = remedy(path, key).unwrap_or_default();
            assert!(remedy.contains(words), "{path}:{key}: {remedy}");
        }
        assert_eq!(remedy("ReverseProxy:Routes:r", "Timeout"), None);
    }

    #[test]
    fn metadata_that_resemble_those_with_a_meaning_are_told() {
        let mut tree = ConfigurationTree::new();
        let text = r#"{ "ReverseProxy": { "Clusters": { "c": {
            "HttpRequest": { "Timeout": "00:00:10" },
            "Metadata": { "ConsecutiveFailures.Threshold": "3", "Colour": "red",
                "TransportFailureRateHealthPolicy.RateLimit": "0.5" },
            "Destinations": { "d": { "Address": "http://d/",
                "Metadata": { "HttpSysDelegationQueueName": "q" } } } } } } }"#;
        tree.add_json("a.json", text).unwrap();
        let loaded = load(&tree);
        let said: Vec<_> = loaded
            .diagnostics
            .warnings()
            .map(ToString::to_string)
            .collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("ActivityTimeout"), "{said:?}");
        assert!(
            said[1].contains("did you mean ConsecutiveFailuresHealthPolicy.Threshold?"),
            "{said:?}"
        );
        assert!(
            said[2].contains("did you mean HttpSysDelegationQueue?"),
            "{said:?}"
        );
    }
}
