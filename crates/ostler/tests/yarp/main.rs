//! What YARP did with hundreds of small configurations, recorded, and what this program does with
//! them: every difference is one that the list `tests/yarp/differences.json` tells of.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
#![expect(clippy::disallowed_methods, reason = "a test's patience is real time")]

mod client;
mod compare;
mod known;
mod record;
mod side;
mod stub;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use compare::{Difference, compare};
use known::Known;
use record::Record;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Cases in one front.
const MERGED: usize = 12;
/// Fronts at a time: most of their time is spent waiting.
const FRONTS: usize = 8;

/// The heading of the section of the compatibility page that the list is shown in.
const SECTION: &str = "\n## Beside the recorded YARP\n";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn known() -> Known {
    Known::read(&root().join("tests/yarp/differences.json"))
}

/// Set `OSTLER_YARP_CASES` to an expression to play only the cases whose id matches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_from_yarp_is_listed() {
    let mut records = record::read(&root().join("tests/yarp/records.jsonl.gz"));
    let chosen = std::env::var("OSTLER_YARP_CASES").ok();
    if let Some(chosen) = &chosen {
        let chosen = regex::Regex::new(chosen).unwrap();
        records.retain(|record| chosen.is_match(&record.case.id));
    }
    let records: Arc<[Record]> = records.into();
    let known = known();
    let by_id: BTreeMap<&str, &Record> = records
        .iter()
        .map(|record| (&*record.case.id, record))
        .collect();
    let is_new = |difference: &Difference| !known.explains(difference, by_id[&*difference.id]);

    let all = (0..records.len()).collect();
    let found: Vec<_> = play(&records, batches(&records, all))
        .await
        .into_iter()
        .filter(is_new)
        .collect();
    // What a busy machine makes of it once it does not make of it twice.
    let ids: BTreeSet<&str> = found.iter().map(|difference| &*difference.id).collect();
    let again: Vec<_> = (0..records.len())
        .filter(|at| ids.contains(&*records[*at].case.id))
        .map(|at| vec![at])
        .collect();
    let again = play(&records, again).await;
    let firm: Vec<_> = found
        .iter()
        .filter(|difference| again.iter().any(|other| difference.is(other)))
        .map(ToString::to_string)
        .collect();
    assert!(
        firm.is_empty(),
        "{} differences are not listed:\n{}",
        firm.len(),
        firm.join("\n")
    );
    let unused = known.unused();
    assert!(
        chosen.is_some() || unused.is_empty(),
        "the list tells of what does not differ:\n{}",
        unused.join("\n")
    );
}

/// Set `OSTLER_WRITE_PAGE` to have the page's last section written anew.
#[test]
fn the_compatibility_page_says_what_was_run() {
    let path = root().join("docs/yarp-compatibility.md");
    let mut page = std::fs::read_to_string(&path).unwrap();
    let known = known();
    if std::env::var_os("OSTLER_WRITE_PAGE").is_some() {
        let heading = page.find(SECTION).expect("the page has the section");
        let table = page[heading..]
            .find("\n| ")
            .map_or(page.len(), |at| heading + at + 1);
        page.truncate(table);
        page.push_str(&known.section());
        std::fs::write(&path, &page).unwrap();
    }
    let complaints = known.complaints(&page);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Cases that may share a front, together.
fn batches(records: &[Record], cases: Vec<usize>) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for case in cases {
        let of = &records[case].case;
        let at = open
            .get(&*of.area)
            .filter(|at| of.merge && batches[**at].len() < MERGED);
        match at {
            Some(at) => batches[*at].push(case),
            None => {
                if of.merge {
                    open.insert(&of.area, batches.len());
                }
                batches.push(vec![case]);
            }
        }
    }
    batches
}

async fn play(records: &Arc<[Record]>, batches: Vec<Vec<usize>>) -> Vec<Difference> {
    let places = Arc::new(Semaphore::new(FRONTS));
    let mut playing = JoinSet::new();
    for batch in batches {
        let (records, places) = (Arc::clone(records), Arc::clone(&places));
        playing.spawn(async move {
            let _place = places.acquire().await.unwrap();
            play_batch(&records, &batch).await
        });
    }
    playing.join_all().await.into_iter().flatten().collect()
}

async fn play_batch(records: &[Record], batch: &[usize]) -> Vec<Difference> {
    let cases: Vec<&Record> = batch.iter().map(|at| &records[*at]).collect();
    let seen = side::play(&cases).await;
    let is_healthy = seen.refusal.is_none() && seen.complaint.is_none();
    if is_healthy || cases.len() == 1 {
        return cases
            .into_iter()
            .flat_map(|record| compare(record, &seen))
            .collect();
    }
    // One case would hide the others.
    let mut differences = Vec::new();
    for record in cases {
        let seen = side::play(&[record]).await;
        differences.extend(compare(record, &seen));
    }
    differences
}
