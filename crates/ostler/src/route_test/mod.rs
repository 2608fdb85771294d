//! `ostler routes test`: where a request would go and why, without a front and without a request.

mod request;
mod verdict;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use ostler_model::ProxyModel;
use ostler_proxy::StepRegistry;

use self::request::Request;
pub(crate) use self::request::{FieldLine, RequestUrl};
use self::verdict::{Destination, Matched, Other, Part, Verdict, Way};
use crate::args::RouteTestArgs;
use crate::configuration::Sources;
use crate::exit::EXIT_CONFIGURATION;
use crate::rules::Rules;

/// As many routes that are not the one as people read of.
const MOST_OTHERS: usize = 20;

/// Says where the request would go; succeeds when a route matches it.
pub(crate) fn test(args: &RouteTestArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let request = Request::new(&args.method, &args.url, &args.header);
    let sources = Sources::new(
        &args.configuration,
        args.settings.clone(),
        Rules::new(steps),
    );
    let loaded = match sources.read() {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
    };
    if loaded.diagnostics.has_errors() {
        for error in loaded.diagnostics.errors() {
            eprintln!("{error}");
        }
        return Ok(ExitCode::from(EXIT_CONFIGURATION));
    }
    let snapshot = ProxyModel::new().apply(&loaded.settings.proxy)?;
    let verdict = Verdict::new(&loaded.settings, &snapshot, &request);
    let told = match args.json {
        true => format!("{:#}\n", serde_json::to_value(&verdict)?),
        false => for_people(&verdict)?,
    };
    // Whoever reads this may be gone.
    let _ = std::io::stdout().write_all(told.as_bytes());
    Ok(match verdict.route.is_some() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The same in lines.
fn for_people(verdict: &Verdict) -> Result<String, std::fmt::Error> {
    let mut text = format!("{} {}\n", verdict.method, verdict.url);
    if let Some(route) = &verdict.route {
        tell_route(&mut text, route)?;
    }
    if let Some(answer) = &verdict.answer {
        writeln!(text, "answer       {}: {}", answer.status, answer.why)?;
    }
    for note in &verdict.notes {
        writeln!(text, "but          {note}")?;
    }
    for other in verdict.others.iter().take(MOST_OTHERS) {
        writeln!(text, "not          {}", not(other))?;
    }
    let more = verdict.others.len().saturating_sub(MOST_OTHERS);
    if more > 0 {
        writeln!(text, "             and {more} more, which --json lists")?;
    }
    Ok(text)
}

fn tell_route(text: &mut String, route: &Matched) -> std::fmt::Result {
    writeln!(text, "route        {}", route.id)?;
    for part in &route.matches {
        writeln!(text, "             {}", told(part))?;
    }
    for (key, value) in &route.policies {
        writeln!(text, "policy       {key} {value}")?;
    }
    if route.transforms > 0 {
        writeln!(text, "transforms   {}", route.transforms)?;
    }
    if let (Some(cluster), Some(policy)) = (&route.cluster, &route.load_balancing_policy) {
        writeln!(text, "cluster      {cluster}, by {policy}")?;
    }
    for destination in &route.destinations {
        writeln!(
            text,
            "destination  {}: {}",
            destination.id,
            way(destination)
        )?;
    }
    Ok(())
}

fn way(destination: &Destination) -> String {
    let address = &destination.address;
    match &destination.way {
        Way::Delegated { queue } => format!("delegated to the request queue {queue:?} ({address})"),
        Way::Forwarded { why: None } => format!("forwarded to {address}"),
        Way::Forwarded { why: Some(why) } => format!("forwarded to {address}: {why}"),
    }
}

fn not(other: &Other) -> String {
    let unmet: Vec<_> = other.unmet.iter().map(told).collect();
    match &other.why {
        Some(why) => format!("{}: it matches too, but {why}", other.id),
        None => format!("{}: {}", other.id, unmet.join("; ")),
    }
}

fn told(part: &Part) -> String {
    format!("{} {}", part.key, part.wanted)
}
