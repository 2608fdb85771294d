//! Counts, as they stand in `counts.txt`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;

/// By how much of itself a count may grow.
const TOLERANCE: f64 = 0.03;

const HEADING: &str =
    "# Instructions of one call, by callgrind. `just instructions --accept` writes this file.";

/// Counts of this build.
#[derive(Debug)]
pub(crate) struct Counts {
    conditions: String,
    by_name: BTreeMap<String, u64>,
}

/// Counts that were accepted before.
#[derive(Debug)]
pub(crate) struct Accepted(Counts);

impl Counts {
    /// None yet, of a machine with these vector instructions.
    pub(crate) fn new(vectors: String) -> Self {
        Self {
            conditions: format!("{}, {vectors}", env!("INSTRUCTIONS_RUSTC")),
            by_name: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, count: u64) {
        self.by_name.insert(name.to_owned(), count);
    }

    /// What they depend on.
    pub(crate) fn conditions(&self) -> &str {
        &self.conditions
    }

    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let path = path();
        std::fs::write(&path, self.to_string()).with_context(|| path.display().to_string())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n# {}", self.conditions)?;
        for (name, count) in &self.by_name {
            writeln!(f, "{name} {count}")?;
        }
        Ok(())
    }
}

impl Accepted {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let path = path();
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut counts = Counts {
            conditions: String::new(),
            by_name: BTreeMap::new(),
        };
        for line in text.lines().filter(|line| *line != HEADING) {
            if let Some(conditions) = line.strip_prefix("# ") {
                conditions.clone_into(&mut counts.conditions);
            } else {
                let (name, count) = line
                    .split_once(' ')
                    .with_context(|| format!("a name and a count are missing in {line:?}"))?;
                counts.add(name, count.parse()?);
            }
        }
        Ok(Self(counts))
    }

    /// What they depend on.
    pub(crate) fn conditions(&self) -> &str {
        self.0.conditions()
    }

    /// Prints both; says how many are dearer than they may be. One that is not among the accepted is.
    pub(crate) fn compare(&self, now: &Counts) -> usize {
        let mut too_dear = 0;
        for (name, &count) in &now.by_name {
            let Some(&accepted) = self.0.by_name.get(name) else {
                println!("{name:<24} {count:>8}            new: accept it");
                too_dear += 1;
                continue;
            };
            let change = count as f64 / accepted as f64 - 1.0;
            let verdict = match change {
                change if change > TOLERANCE => {
                    too_dear += 1;
                    "DEARER"
                }
                change if change < -TOLERANCE => "cheaper: accept it, so that it stays so",
                _ => "",
            };
            let percent = change * 100.0;
            println!("{name:<24} {count:>8} {accepted:>8} {percent:>+6.1} % {verdict}");
        }
        for name in self.0.by_name.keys() {
            if !now.by_name.contains_key(name) {
                println!("{name:<24} is counted no more: accept that");
                too_dear += 1;
            }
        }
        too_dear
    }
}

/// The widest vector instructions that code may choose here.
pub(crate) fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx2") {
            "x86_64 with AVX2"
        } else {
            "x86_64 without AVX2"
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH
    }
}

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/counts.txt"))
}
