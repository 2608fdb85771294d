//! Metadata with a meaning: free-form otherwise, so that a misspelt one would be none.

use crate::reader::Reader;
use crate::tree::Section;
use crate::tree::key::same;

/// Metadata are free-form; some keys of theirs mean something, and one that resembles them means nothing.
pub(crate) fn warn_of_misspelt(
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
    use crate::{ConfigurationTree, load};

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
