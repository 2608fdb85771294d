//! `ostler fleet`: the fronts that share a configuration in etcd, and who lags.

use std::io::Write as _;
use std::process::ExitCode;

use ostler_etcd::{Documents, FrontRecord, fronts};
use ostler_proxy::StepRegistry;
use serde_json::json;

use crate::args::FleetArgs;
use crate::shared::Store;

/// Prints them.
pub(crate) fn list(args: &FleetArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let store = Store::open(&args.etcd, steps)?;
    let (fronts, revision) = store.run(async |client, prefix| {
        let documents = Documents::read(client, prefix).await?;
        Ok((fronts(client, prefix).await?, documents.revision()))
    })?;
    // Whoever reads this may be gone.
    _ = match args.json {
        true => {
            let fronts: Vec<_> = fronts
                .iter()
                .map(|front| as_json(front, revision))
                .collect();
            let all = json!({ "revision": revision, "fronts": fronts });
            writeln!(std::io::stdout(), "{all:#}")
        }
        false => say(&fronts, revision),
    };
    Ok(ExitCode::SUCCESS)
}

/// Where a front stands.
fn state(front: &FrontRecord, revision: i64) -> &'static str {
    match &front.refused {
        Some((refused, _)) if *refused == revision => "refuses",
        _ if front.revision == revision => "current",
        _ => "lags",
    }
}

fn as_json(front: &FrontRecord, revision: i64) -> serde_json::Value {
    let mut all = json!(front);
    all["state"] = json!(state(front, revision));
    all
}

fn say(fronts: &[FrontRecord], revision: i64) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "revision {revision} in etcd, {} front(s)",
        fronts.len()
    )?;
    for front in fronts {
        let state = state(front, revision);
        let (id, build, in_force) = (&front.id, &front.build, front.revision);
        let listening = front.listening.join(" ");
        writeln!(
            out,
            "{id}  {build}  revision {in_force}  {state}  {listening}"
        )?;
        if !front.queues.is_empty() {
            writeln!(out, "    queues: {}", front.queues.join(" "))?;
        }
        if !front.without_destinations.is_empty() {
            let clusters = front.without_destinations.join(" ");
            writeln!(out, "    no destination is available: {clusters}")?;
        }
        if let Some((refused, why)) = &front.refused {
            for line in why {
                writeln!(out, "    revision {refused}: {line}")?;
            }
        }
    }
    Ok(())
}
