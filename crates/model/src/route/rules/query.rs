//! Rules about query parameters (reference A3.6).

use ostler_config::schema::{QueryParameterMatchConfig, QueryParameterMatchMode};

use super::{Emptiness, Wanted};
use crate::ordinal;
use crate::route::escape::decode_query;

/// One entry of `Match:QueryParameters`.
#[derive(Debug, Clone)]
pub(crate) struct QueryRule {
    name: String,
    mode: QueryParameterMatchMode,
    wanted: Wanted,
}

impl QueryRule {
    /// Compiles a rule; `None` when it has an empty value (reference A3.8).
    pub(crate) fn new(config: &QueryParameterMatchConfig) -> Option<Self> {
        Some(Self {
            name: config.name.clone(),
            mode: config.mode,
            wanted: Wanted::new(&config.values, config.is_case_sensitive)?,
        })
    }

    /// Whether a query, without `?` and as it was sent, satisfies the rule.
    pub(crate) fn holds(&self, query: &str) -> bool {
        let mut emptiness = Emptiness::default();
        let mut found = false;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !ordinal::eq(&decode_query(name), &self.name) {
                continue;
            }
            let value = decode_query(value);
            emptiness.see(value.as_bytes());
            found = found || self.is_found_in(value.as_bytes());
        }
        let is_empty = emptiness.is_empty();
        match self.mode {
            QueryParameterMatchMode::Exists => !is_empty,
            QueryParameterMatchMode::NotContains => is_empty || !found,
            QueryParameterMatchMode::Exact
            | QueryParameterMatchMode::Prefix
            | QueryParameterMatchMode::Contains => !is_empty && found,
        }
    }

    /// Values are never split: a comma is a character like others.
    fn is_found_in(&self, value: &[u8]) -> bool {
        match self.mode {
            QueryParameterMatchMode::Exists => false,
            QueryParameterMatchMode::Exact => self.wanted.any_equals(value),
            QueryParameterMatchMode::Prefix => self.wanted.any_begins(value),
            QueryParameterMatchMode::Contains | QueryParameterMatchMode::NotContains => {
                self.wanted.any_is_in(value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use QueryParameterMatchMode::{Contains, Exact, Exists, NotContains, Prefix};

    use super::*;

    fn holds(mode: QueryParameterMatchMode, values: &[&str], query: &str) -> bool {
        let rule = QueryRule::new(&QueryParameterMatchConfig {
            name: "name".to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            mode,
            is_case_sensitive: false,
        });
        rule.unwrap().holds(query)
    }

    #[test]
    fn each_mode_compares_its_way() {
        for (mode, query, expected) in [
            (Exact, "name=abc", true),
            (Exact, "NAME=ABC", true),
            (Exact, "name=abcd", false),
            (Exact, "other=abc", false),
            (Prefix, "name=abcd", true),
            (Prefix, "name=xabc", false),
            (Contains, "name=xabcx", true),
            (Contains, "name=ab", false),
            (NotContains, "name=ab", true),
            (NotContains, "name=xabcx", false),
            (NotContains, "", true),
        ] {
            assert_eq!(holds(mode, &["abc"], query), expected, "{mode:?} {query}");
        }
    }

    #[test]
    fn one_empty_value_is_as_none_but_two_are_not() {
        for (query, exists) in [
            ("", false),
            ("name", false),
            ("name=", false),
            ("name&name=", true),
            ("name=x", true),
            ("names=x", false),
        ] {
            assert_eq!(holds(Exists, &[], query), exists, "{query}");
        }
        assert!(holds(NotContains, &["x"], "name="));
        assert!(holds(NotContains, &["x"], "name=&name="));
    }

    #[test]
    fn repeated_parameters_match_with_any_of_their_values() {
        assert!(holds(Exact, &["b"], "name=a&x=y&name=b"));
        assert!(holds(Exact, &["c", "b"], "name=b"));
        assert!(!holds(NotContains, &["b"], "name=a&name=b"));
        assert!(!holds(Exact, &["b"], "name=a,b"));
    }

    #[test]
    fn names_and_values_are_decoded() {
        assert!(holds(Exact, &["a b/c"], "n%61me=a+b%2Fc"));
        assert!(holds(Exact, &["a+b"], "name=a%2Bb"));
        assert!(holds(Exact, &["a=b"], "name=a=b"));
        assert!(holds(Exact, &["ü"], "name=%C3%9C"));
    }

    #[test]
    fn case_matters_for_values_only_when_asked_for() {
        let rule = QueryRule::new(&QueryParameterMatchConfig {
            name: "Name".to_owned(),
            values: vec!["Abc".to_owned()],
            mode: Exact,
            is_case_sensitive: true,
        });
        let rule = rule.unwrap();
        assert!(rule.holds("nAME=Abc"));
        assert!(!rule.holds("name=abc"));
    }
}
