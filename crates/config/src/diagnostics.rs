//! What is wrong with a configuration, or has no effect: where, and what to do.

use std::fmt;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name as it was given; for a value from elsewhere, the words for that, such as
    /// `environment variable Ostler__Threads`.
    pub origin: String,
    /// Line, from 1; 0 for what is not in a file.
    pub line: u32,
    /// Column in characters, from 1; 0 for what is not in a file.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.origin),
            line => write!(f, "{}:{line}:{}", self.origin, self.column),
        }
    }
}

/// Whether a configuration with this can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and something in it has no effect or is not what it seems.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing about a configuration. Shown, it is one line:
/// `error: <path>: <message> (<place>); <remedy>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the configuration can be used.
    pub severity: Severity,
    /// The JSON path, parts separated by `:`, in the spelling of the source.
    pub path: String,
    /// Where it stands; of something that is missing, where it should be. `None` when no source
    /// has anything there.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that is plain.
    pub remedy: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity, self.path, self.message)?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// Everything there is to say about a configuration, in the order of its sources' lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// What keeps the configuration from being used.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Error)
    }

    /// What does not.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.of(Severity::Warning)
    }

    /// Whether anything keeps the configuration from being used.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
        self.0
            .iter()
            .filter(move |diagnostic| diagnostic.severity == severity)
    }

    /// Says one more thing.
    pub fn add(&mut self, diagnostic: Diagnostic) {
        self.push(diagnostic);
    }

    /// Says what others have said.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Adds something.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Leaves out what `keep` says no to.
    #[cfg(test)]
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.0.retain(keep);
    }

    /// Brings what is said of one file together, in the order one reads it.
    pub fn sort(&mut self) {
        self.0.sort_by(|left, right| {
            let key = |diagnostic: &Diagnostic| {
                let place = diagnostic.place.as_ref();
                place.map(|place| {
                    (
                        place.line == 0,
                        place.origin.clone(),
                        place.line,
                        place.column,
                    )
                })
            };
            // What has no place comes last.
            let (left, right) = (key(left), key(right));
            (left.is_none(), left).cmp(&(right.is_none(), right))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(place: Option<(&str, u32, u32)>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            path: "ReverseProxy:Clusters:c1".into(),
            place: place.map(|(origin, line, column)| Place {
                origin: origin.into(),
                line,
                column,
            }),
            message: "no address".into(),
            remedy: Some("set Address".into()),
        }
    }

    #[test]
    fn is_shown_as_one_line_with_its_place_and_remedy() {
        assert_eq!(
            diagnostic(Some(("a.json", 12, 9))).to_string(),
            "error: ReverseProxy:Clusters:c1: no address (a.json:12:9); set Address"
        );
        assert_eq!(
            diagnostic(Some(("environment variable A", 0, 0))).to_string(),
            "error: ReverseProxy:Clusters:c1: no address (environment variable A); set Address"
        );
        let bare = Diagnostic {
            remedy: None,
            ..diagnostic(None)
        };
        assert_eq!(
            bare.to_string(),
            "error: ReverseProxy:Clusters:c1: no address"
        );
    }

    #[test]
    fn come_in_the_order_of_the_lines_and_what_is_in_no_file_last() {
        let places = [
            None,
            Some(("an environment variable", 0, 0)),
            Some(("b.json", 10, 1)),
            Some(("b.json", 9, 5)),
            Some(("b.json", 9, 2)),
        ];
        let mut diagnostics = Diagnostics(places.into_iter().map(diagnostic).collect());
        diagnostics.sort();
        let sorted: Vec<_> = places.into_iter().rev().map(diagnostic).collect();
        assert_eq!(diagnostics.0, sorted);
    }
}
