//! From a request's host to the host keys that match it (reference A3.3).

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::ordinal;
use crate::route::host::{HostName, HostPattern, RequestHost};

/// The distinct entries of all routes' `Match:Hosts`.
#[derive(Debug, Default, Clone)]
pub(super) struct HostIndex {
    exact: HashTable<Name>,
    /// By suffix, without `*.`.
    wildcards: HashTable<Name>,
    any: Ports,
    /// The length of the longest suffix among `wildcards`.
    longest_suffix: usize,
    keys: u32,
}

/// A distinct entry of `Match:Hosts`; entries that differ in case are one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct HostKey(u32);

/// How specific a key is. The order is that in which keys are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostClass {
    ExactWithPort,
    Exact,
    WildcardWithPort,
    Wildcard,
    AnyWithPort,
    Any,
}

/// Keys with their classes, in the order in which they are chosen.
pub(super) type MatchingKeys = SmallVec<[(HostClass, HostKey); 8]>;

/// The keys of one name.
#[derive(Debug, Clone)]
struct Name {
    /// Folded.
    text: Box<str>,
    ports: Ports,
}

/// The keys of one name by port.
#[derive(Debug, Default, Clone)]
struct Ports {
    any: Option<HostKey>,
    listed: SmallVec<[(u16, HostKey); 1]>,
}

impl HostIndex {
    /// The key of a pattern, if there is one.
    pub(super) fn key(&self, pattern: &HostPattern) -> Option<HostKey> {
        let ports = match &pattern.name {
            HostName::Exact(name) => &Name::find(&self.exact, name)?.ports,
            HostName::Wildcard(suffix) => &Name::find(&self.wildcards, suffix)?.ports,
            HostName::Any => &self.any,
        };
        ports.key(pattern.port)
    }

    /// The key of a pattern, made if there is none.
    pub(super) fn insert(&mut self, pattern: &HostPattern) -> HostKey {
        let ports = match &pattern.name {
            HostName::Exact(name) => Name::entry(&mut self.exact, name),
            HostName::Wildcard(suffix) => {
                self.longest_suffix = self.longest_suffix.max(suffix.len());
                Name::entry(&mut self.wildcards, suffix)
            }
            HostName::Any => &mut self.any,
        };
        if let Some(key) = ports.key(pattern.port) {
            return key;
        }
        let key = HostKey(self.keys);
        self.keys += 1;
        match pattern.port {
            Some(port) => ports.listed.push((port, key)),
            None => ports.any = Some(key),
        }
        key
    }

    /// The keys of wildcards that see the routes of `pattern` although it is not theirs: those above
    /// it with its port, if it is a wildcard. An oddity of ASP.NET's router (reference A3.3).
    pub(super) fn covering(&self, pattern: &HostPattern) -> impl Iterator<Item = HostKey> {
        let suffix = match &pattern.name {
            HostName::Wildcard(suffix) => suffix.as_str(),
            HostName::Exact(_) | HostName::Any => "",
        };
        let above = suffix.match_indices('.').map(|(dot, _)| &suffix[dot + 1..]);
        let names = above.filter_map(|above| Name::find(&self.wildcards, above));
        names.filter_map(|name| name.ports.key(pattern.port))
    }

    /// The keys that match a request's host.
    pub(super) fn matching(&self, host: &RequestHost<'_>) -> MatchingKeys {
        let mut keys = MatchingKeys::new();
        let port = host.port();
        if let Some(name) = Name::find(&self.exact, host.name()) {
            keys.extend(
                name.ports
                    .listed(port)
                    .map(|key| (HostClass::ExactWithPort, key)),
            );
            keys.extend(name.ports.any.map(|key| (HostClass::Exact, key)));
        }
        if !self.wildcards.is_empty() {
            let names = || {
                let suffixes = host.suffixes(self.longest_suffix);
                suffixes.filter_map(|suffix| Name::find(&self.wildcards, suffix))
            };
            let found = names().collect::<SmallVec<[_; 4]>>();
            let with_port = found.iter().filter_map(|name| name.ports.listed(port));
            keys.extend(with_port.map(|key| (HostClass::WildcardWithPort, key)));
            let without = found.iter().filter_map(|name| name.ports.any);
            keys.extend(without.map(|key| (HostClass::Wildcard, key)));
        }
        keys.extend(
            self.any
                .listed(port)
                .map(|key| (HostClass::AnyWithPort, key)),
        );
        keys.extend(self.any.any.map(|key| (HostClass::Any, key)));
        keys
    }
}

impl HostKey {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Name {
    fn find<'t>(table: &'t HashTable<Self>, text: &str) -> Option<&'t Self> {
        table.find(ordinal::hash(text.as_bytes()), |name| {
            name.text.eq_ignore_ascii_case(text)
        })
    }

    fn entry<'t>(table: &'t mut HashTable<Self>, text: &str) -> &'t mut Ports {
        let hash = |text: &str| ordinal::hash(text.as_bytes());
        let entry = table.entry(
            hash(text),
            |name| *name.text == *text,
            |name| hash(&name.text),
        );
        let name = entry.or_insert_with(|| Self {
            text: text.into(),
            ports: Ports::default(),
        });
        &mut name.into_mut().ports
    }
}

impl Ports {
    /// The key for exactly this port.
    fn listed(&self, port: u16) -> Option<HostKey> {
        self.listed
            .iter()
            .find(|(listed, _)| *listed == port)
            .map(|(_, key)| *key)
    }

    /// The key of a pattern's port.
    fn key(&self, port: Option<u16>) -> Option<HostKey> {
        match port {
            Some(port) => self.listed(port),
            None => self.any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(entries: &[&str]) -> HostIndex {
        let mut index = HostIndex::default();
        for (at, entry) in entries.iter().enumerate() {
            let key = index.insert(&HostPattern::parse(entry).unwrap());
            assert_eq!(key.index(), at, "{entry}");
        }
        index
    }

    #[test]
    fn keys_come_from_the_most_specific_to_the_least() {
        let entries = [
            "*",
            "*:81",
            "*.a.com",
            "*.a.com:81",
            "x.a.com",
            "x.a.com:81",
            "b.com",
        ];
        let index = index(&entries);
        let matching = |authority| {
            let keys = index.matching(&RequestHost::new(authority, false));
            keys.iter()
                .map(|(_, key)| entries[key.index()])
                .collect::<Vec<_>>()
        };
        assert_eq!(
            matching("X.a.com:81"),
            [
                "x.a.com:81",
                "x.a.com",
                "*.a.com:81",
                "*.a.com",
                "*:81",
                "*"
            ]
        );
        assert_eq!(matching("x.a.com"), ["x.a.com", "*.a.com", "*"]);
        assert_eq!(
            matching("y.a.com:81"),
            ["*.a.com:81", "*.a.com", "*:81", "*"]
        );
        assert_eq!(matching("a.com"), ["*"]);
        assert_eq!(matching("b.com"), ["b.com", "*"]);
        assert_eq!(matching(""), ["*"]);
    }

    #[test]
    fn entries_that_differ_in_case_are_one_key() {
        let mut index = index(&["a.com", "*.a.com:1"]);
        let again =
            |index: &mut HostIndex, entry| index.insert(&HostPattern::parse(entry).unwrap());
        assert_eq!(again(&mut index, "A.COM:*").index(), 0);
        assert_eq!(again(&mut index, "*.A.com:1").index(), 1);
        assert_eq!(again(&mut index, "*.A.com:2").index(), 2);
    }

    #[test]
    fn wildcards_are_covered_by_those_above_them() {
        let entries = [
            "*.com",
            "*.a.com",
            "*.a.com:1",
            "*.x.a.com",
            "*.x.a.com:1",
            "a.com",
            "*",
        ];
        let index = index(&entries);
        let covering = |entry| {
            let pattern = HostPattern::parse(entry).unwrap();
            index
                .covering(&pattern)
                .map(|key| entries[key.index()])
                .collect::<Vec<_>>()
        };
        assert_eq!(covering("*.x.a.com"), ["*.a.com", "*.com"]);
        assert_eq!(covering("*.x.a.com:1"), ["*.a.com:1"]);
        assert_eq!(covering("*.com"), [""; 0]);
        assert_eq!(covering("x.a.com"), [""; 0]);
        for (entry, key) in entries
            .iter()
            .flat_map(|left| entries.map(|right| (*left, right)))
        {
            let pattern = HostPattern::parse(entry).unwrap();
            let is_covering = covering(entry).contains(&key);
            assert_eq!(
                HostPattern::parse(key).unwrap().covers(&pattern),
                is_covering,
                "{key} {entry}"
            );
        }
    }
}
