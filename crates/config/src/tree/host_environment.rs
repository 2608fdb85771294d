//! Environment variables of ASP.NET's host: settings with `ASPNETCORE_` or `DOTNET_` before them.

use super::{ConfigurationTree, Position};

/// What a host's variables begin with; a setting of a later one wins.
const PREFIXES: [&str; 2] = ["ASPNETCORE_", "DOTNET_"];

impl ConfigurationTree {
    /// Adds the environment variables that begin with `ASPNETCORE_`, then those that begin with
    /// `DOTNET_`, in any letter case, without their prefix; `__` stands for `:`. A host adds them before
    /// its files, which win over them.
    pub fn add_host_environment(&mut self, variables: &[(String, String)]) {
        for prefix in PREFIXES {
            for (name, value) in variables {
                let Some(key) = without_prefix(name, prefix) else {
                    continue;
                };
                let position = Position::outside_files(&format!("environment variable {name}"));
                // One that is too deep cannot be meant for us.
                _ = self.set(&key.replace("__", ":"), value.clone(), position);
            }
        }
    }
}

/// The value of a host's setting among environment variables, as [`add_host_environment`] has it; an
/// empty value says nothing.
///
/// [`add_host_environment`]: ConfigurationTree::add_host_environment
pub fn host_variable<'v>(variables: &'v [(String, String)], key: &str) -> Option<&'v str> {
    PREFIXES.iter().rev().find_map(|prefix| {
        let mut of_key = variables.iter().filter(|(name, value)| {
            let found = without_prefix(name, prefix);
            found.is_some_and(|found| found.eq_ignore_ascii_case(key)) && !value.is_empty()
        });
        of_key.next().map(|(_, value)| value.as_str())
    })
}

fn without_prefix<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    let (beginning, key) = name.split_at_checked(prefix.len())?;
    (beginning.eq_ignore_ascii_case(prefix) && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn aspnetcore_comes_before_dotnet_before_files_before_variables_without_a_prefix() {
        let all = variables(&[
            ("DOTNET_A__b", "dotnet"),
            ("aspnetcore_a__B", "aspnetcore"),
            ("ASPNETCORE_A__c", "aspnetcore"),
            ("A__d", "bare"),
            ("DOTNET_A__d", "dotnet"),
            ("ASPNETCORE_", "nothing"),
        ]);
        let mut tree = ConfigurationTree::new();
        tree.add_host_environment(&all);
        assert_eq!(tree.value("A:b"), Some("dotnet"));
        assert_eq!(tree.value("A:c"), Some("aspnetcore"));
        tree.add_json("a.json", r#"{ "A": { "B": "file", "D": "file" } }"#)
            .unwrap();
        assert_eq!(tree.value("A:b"), Some("file"));
        // The file's spelling is the one that is shown.
        assert_eq!(tree.section("a:b").path(), "A:B");
        tree.add_environment(all);
        assert_eq!(tree.value("A:d"), Some("bare"));
        assert_eq!(tree.value("A:c"), Some("aspnetcore"));
    }

    #[test]
    fn a_variable_of_the_host_is_found_in_any_case_and_an_empty_one_says_nothing() {
        let all = variables(&[
            ("ASPNETCORE_ENVIRONMENT", "Staging"),
            ("dotnet_Environment", ""),
            ("ENVIRONMENT", "Bare"),
        ]);
        assert_eq!(host_variable(&all, "environment"), Some("Staging"));
        let all = variables(&[("ASPNETCORE_ENVIRONMENT", "a"), ("DOTNET_ENVIRONMENT", "b")]);
        assert_eq!(host_variable(&all, "Environment"), Some("b"));
        assert_eq!(host_variable(&all, "Env"), None);
    }
}
