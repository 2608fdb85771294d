//! What is wrong with a crate's imports: arrows up, circles, modules without a floor.

use std::collections::BTreeSet;

use crate::arrows::Arrows;
use crate::modules::Modules;
use crate::table::Crate;

/// Everything that is wrong, each in a sentence.
pub fn faults(floors: &Crate, modules: &Modules, arrows: &Arrows) -> Vec<String> {
    let mut found = without_floor(floors, modules);
    found.extend(arrows_up(floors, arrows));
    for circle in circles(arrows) {
        if !floors.may_stand(&circle) {
            found.push(format!(
                "{}: {} import each other in a circle",
                floors.name(),
                circle.join(", ")
            ));
        }
    }
    found
}

fn without_floor(floors: &Crate, modules: &Modules) -> Vec<String> {
    let tops = modules.iter().map(|(name, _)| name);
    let tops = tops.filter(|name| !name.is_empty() && !name.contains("::"));
    let homeless = tops.filter(|name| floors.place_of(name).is_none());
    let homeless = homeless.map(|name| format!("{}: {name} stands on no floor", floors.name()));
    let named = floors.floors.iter().flat_map(|floor| floor.modules);
    let missing = named.filter(|name| !modules.contains(name));
    let missing = missing.map(|name| format!("{}: there is no module {name}", floors.name()));
    homeless.chain(missing).collect()
}

fn arrows_up(floors: &Crate, arrows: &Arrows) -> Vec<String> {
    let up = arrows.iter().filter(|(from, to)| {
        // The root stands above all.
        match (floors.place_of(from), floors.place_of(to)) {
            (Some((_, from)), Some((_, to))) => to < from,
            (Some(_), None) => to.is_empty(),
            (None, _) => false,
        }
    });
    up.map(|(from, to)| {
        let to = if to.is_empty() { "the root" } else { to };
        format!(
            "{}: {from} imports {to}, which stands above it",
            floors.name()
        )
    })
    .collect()
}

/// Modules that import each other, be it by way of others: the circles of a crate.
pub fn circles(arrows: &Arrows) -> Vec<Vec<&str>> {
    let mut left: BTreeSet<&str> = arrows.0.keys().map(String::as_str).collect();
    let mut circles = Vec::new();
    while let Some(first) = left.pop_first() {
        let reached = reached(arrows, first);
        let mut circle: Vec<&str> = left
            .iter()
            .copied()
            .filter(|&other| {
                reached.contains(other) && self::reached(arrows, other).contains(first)
            })
            .collect();
        if !circle.is_empty() {
            left.retain(|other| !circle.contains(other));
            circle.insert(0, first);
            circles.push(circle);
        }
    }
    circles
}

/// What a module uses, and what that uses, and so on.
fn reached<'a>(arrows: &'a Arrows, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        for to in arrows.0.get(module).into_iter().flatten() {
            if reached.insert(to.as_str()) {
                next.push(to);
            }
        }
    }
    reached
}
