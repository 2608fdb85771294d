//! What is otherwise on purpose: the list `differences.json`, and what the compatibility page says.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use regex::Regex;
use serde::Deserialize;

use crate::compare::Difference;
use crate::record::Record;

/// The list.
pub(crate) struct Known {
    groups: Vec<Group>,
}

/// One decision, and all the ways in which it shows.
#[derive(Deserialize)]
struct Group {
    /// The first cell of the row of the compatibility page that tells of it.
    row: String,
    /// Why it is so.
    why: String,
    kinds: Vec<Kind>,
}

/// One way. All expressions that are there must match.
#[derive(Deserialize)]
struct Kind {
    /// `CLASS KEY`, whole.
    #[serde(with = "expression")]
    kind: Regex,
    /// The areas in which it shows; none is any.
    #[serde(default)]
    areas: Vec<String>,
    /// What stands in the request's bytes.
    #[serde(default, with = "optional")]
    request: Option<Regex>,
    /// What stands in the destination's reply, as JSON.
    #[serde(default, with = "optional")]
    reply: Option<Regex>,
    /// What stands in the case's configuration, as JSON.
    #[serde(default, with = "optional")]
    config: Option<Regex>,
    /// What YARP did.
    #[serde(default, with = "optional")]
    recorded: Option<Regex>,
    /// What is done here.
    #[serde(default, with = "optional")]
    seen: Option<Regex>,
    /// It does not show each time: a race decides.
    #[serde(default)]
    sometimes: bool,
    #[serde(skip)]
    used: Cell<bool>,
}

mod expression {
    use super::*;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        source: D,
    ) -> Result<Regex, D::Error> {
        let text = String::deserialize(source)?;
        Regex::new(&text).map_err(serde::de::Error::custom)
    }
}

mod optional {
    use super::*;

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        source: D,
    ) -> Result<Option<Regex>, D::Error> {
        expression::deserialize(source).map(Some)
    }
}

impl Known {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let groups = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
        Self { groups }
    }

    /// Whether the list tells of a difference.
    pub(crate) fn explains(&self, difference: &Difference, record: &Record) -> bool {
        let kinds = self.groups.iter().flat_map(|group| &group.kinds);
        let mut explaining = kinds
            .filter(|kind| kind.matches(difference, record))
            .peekable();
        let is_known = explaining.peek().is_some();
        explaining.for_each(|kind| kind.used.set(true));
        is_known
    }

    /// The entries that have explained nothing.
    pub(crate) fn unused(&self) -> Vec<String> {
        let of = |group: &Group| {
            let unused = group
                .kinds
                .iter()
                .filter(|kind| !kind.used.get() && !kind.sometimes);
            let row = group.row.clone();
            unused
                .map(move |kind| format!("{row}: {}", kind.kind))
                .collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of).collect()
    }

    /// What is wrong with the compatibility page, beside the list.
    pub(crate) fn complaints(&self, page: &str) -> Vec<String> {
        let rows: Vec<(&str, &str)> = page.lines().filter_map(row).collect();
        let mut complaints = Vec::new();
        for group in &self.groups {
            let found: Vec<_> = rows
                .iter()
                .filter(|(feature, _)| *feature == group.row)
                .collect();
            match found[..] {
                [(_, "different" | "n/a")] => {}
                [(_, verdict)] => complaints.push(format!(
                    "the page says {verdict:?} of {:?}, and the records show a difference: {}",
                    group.row, group.why
                )),
                _ => complaints.push(format!("{} rows are called {:?}", found.len(), group.row)),
            }
        }
        if !page.contains(&self.section()) {
            complaints.push(format!(
                "the page's last section is to be:\n{}",
                self.section()
            ));
        }
        complaints
    }

    /// The section of the page that tells what has been run.
    pub(crate) fn section(&self) -> String {
        let mut section =
            String::from("| row | where it shows in the records | why |\n|---|---|---|\n");
        for group in &self.groups {
            let classes: BTreeSet<_> = group
                .kinds
                .iter()
                .flat_map(|kind| match kind.areas.is_empty() {
                    true => vec!["everywhere".to_owned()],
                    false => kind.areas.clone(),
                })
                .collect();
            let areas = classes.into_iter().collect::<Vec<_>>().join(", ");
            let _ = writeln!(section, "| {} | {areas} | {} |", group.row, group.why);
        }
        section
    }
}

/// Feature and verdict of a line that is a row.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    let (feature, verdict) = (cells.next()?, cells.next()?);
    matches!(verdict, "same" | "different" | "n/a").then_some((feature, verdict))
}

impl Kind {
    fn matches(&self, difference: &Difference, record: &Record) -> bool {
        let of = format!("{} {}", difference.class, difference.key);
        let is_whole = |kind: &Regex| kind.find(&of).is_some_and(|found| found.len() == of.len());
        let item = difference
            .request
            .checked_sub(1)
            .and_then(|at| record.case.requests.get(at));
        let asks = |expression: &Option<Regex>, text: &dyn Fn() -> String| {
            expression
                .as_ref()
                .is_none_or(|expression| expression.is_match(&text()))
        };
        let json = |value: &dyn Fn() -> serde_json::Result<String>| value().unwrap_or_default();
        is_whole(&self.kind)
            && (self.areas.is_empty() || self.areas.contains(&difference.area))
            && asks(&self.request, &|| {
                item.map(|item| item.raw.clone()).unwrap_or_default()
            })
            && asks(&self.reply, &|| {
                item.map(|item| json(&|| serde_json::to_string(&item.reply)))
                    .unwrap_or_default()
            })
            && asks(&self.config, &|| {
                json(&|| serde_json::to_string(&(&record.case.config, &record.case.sections)))
            })
            && asks(&self.recorded, &|| difference.recorded.clone())
            && asks(&self.seen, &|| difference.seen.clone())
    }
}
