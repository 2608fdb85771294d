//! The drawing of a crate's floors, as text.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::house::House;
use crate::table::Crate;

/// Columns that a module's name takes.
const NAME: usize = 24;

/// Columns of a line.
const WIDTH: usize = 110;

/// A crate's floors from top to bottom, each module with what it is.
pub fn floors(house: &House) -> String {
    draw(house.floors, |module| {
        let found = house.modules.0.get(module);
        found.map_or(String::new(), |found| found.summary.clone())
    })
}

/// A crate's floors from top to bottom, each module with those that it imports.
pub fn imports(house: &House) -> String {
    draw(house.floors, |module| {
        let owner = |name| house.floors.place_of(name).map(|(owner, _)| owner);
        let inside = |name| owner(name) == Some(module);
        let used: BTreeSet<&str> = house
            .arrows
            .iter()
            .filter(|(from, to)| inside(from) && !inside(to))
            .filter_map(|(_, to)| owner(to))
            .collect();
        used.into_iter().collect::<Vec<_>>().join(", ")
    })
}

fn draw(house: &Crate, beside: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for floor in house.floors {
        // Writing to a string does not fail.
        let _ = writeln!(text, "-- {}", floor.title);
        for module in floor.modules {
            let mut line = format!("   {module:NAME$}");
            for word in beside(module).split(' ') {
                if line.len() + 1 + word.len() > WIDTH {
                    let _ = writeln!(text, "{}", line.trim_end());
                    line = " ".repeat(NAME + 3);
                }
                let _ = write!(line, " {word}");
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}
