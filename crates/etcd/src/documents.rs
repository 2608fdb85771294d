//! What stands in etcd of a configuration, at one revision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::{Client, Range};
use crate::error::EtcdError;
use crate::messages::{Event, KeyValue};

/// Where a configuration stands below the prefix.
pub(crate) const CONFIG: &str = "config/";
/// What a push writes.
pub(crate) const DOCUMENT: &str = "document";

/// The keys of a configuration, without the prefix and `config/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Documents {
    by_key: BTreeMap<String, Document>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What stands there.
    pub text: String,
    /// The revision that it was written with.
    pub revision: i64,
}

impl Documents {
    /// Reads all of it, as a quorum of etcd's members has it.
    ///
    /// # Errors
    ///
    /// When etcd does not answer, or refuses.
    pub async fn read(client: &Client, prefix: &str) -> Result<Self, EtcdError> {
        let place = format!("{prefix}{CONFIG}");
        Ok(Self::of(&client.range(&place, false).await?, &place))
    }

    pub(crate) fn of(range: &Range, place: &str) -> Self {
        let mut documents = Self::default();
        range.kvs.iter().for_each(|kv| documents.put(kv, place));
        documents
    }

    /// Takes over changes.
    pub(crate) fn apply(&mut self, events: &[Event], place: &str) {
        for event in events {
            let Some(kv) = &event.kv else { continue };
            match event.kind {
                0 => self.put(kv, place),
                _ => _ = self.by_key.remove(&name(kv, place)),
            }
        }
    }

    fn put(&mut self, kv: &KeyValue, place: &str) {
        let document = Document {
            // What is no text is none of JSON either, and is refused where that is read.
            text: String::from_utf8_lossy(&kv.value).into_owned(),
            revision: kv.mod_revision,
        };
        self.by_key.insert(name(kv, place), document);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The revision of the last of the changes that are still to be seen; 0 where there is nothing.
    pub fn revision(&self) -> i64 {
        let revisions = self.by_key.values().map(|document| document.revision);
        revisions.max().unwrap_or_default()
    }

    /// What pushes write.
    pub fn document(&self) -> Option<&Document> {
        self.by_key.get(DOCUMENT)
    }

    /// The same with another document, which nobody has written yet.
    #[must_use]
    pub fn with_document(mut self, text: String) -> Self {
        let document = Document { text, revision: 0 };
        self.by_key.insert(DOCUMENT.to_owned(), document);
        self
    }

    /// All keys: the document first, then clusters and routes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Document)> {
        let document = self.document().map(|document| (DOCUMENT, document));
        let others = self.by_key.iter().filter(|(key, _)| *key != DOCUMENT);
        let others = others.map(|(key, document)| (key.as_str(), document));
        document.into_iter().chain(others)
    }
}

fn name(kv: &KeyValue, place: &str) -> String {
    let key = String::from_utf8_lossy(&kv.key);
    key.strip_prefix(place).unwrap_or(&key).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: i32, key: &str, value: &str, revision: i64) -> Event {
        Event {
            kind,
            kv: Some(KeyValue {
                key: key.as_bytes().to_vec(),
                mod_revision: revision,
                value: value.as_bytes().to_vec(),
            }),
        }
    }

    #[test]
    fn changes_are_taken_over_key_by_key() {
        let mut documents = Documents::default();
        assert_eq!(documents.revision(), 0);
        let events = [
            event(0, "/o/config/routes/a", "{}", 5),
            event(0, "/o/config/document", "{ }", 4),
            event(0, "/o/config/clusters/c", "{}", 6),
        ];
        documents.apply(&events, "/o/config/");
        let keys: Vec<_> = documents.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["document", "clusters/c", "routes/a"]);
        assert_eq!(documents.revision(), 6);
        documents.apply(&[event(1, "/o/config/clusters/c", "", 7)], "/o/config/");
        assert_eq!(documents.iter().count(), 2);
        assert_eq!(documents.document().unwrap().text, "{ }");
    }
}
