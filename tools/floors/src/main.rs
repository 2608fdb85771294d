//! Draws the floors of each crate, or of the one that is named, from top to bottom, and fails for an arrow
//! up. With `--write` the drawing in `docs/architecture.md` is made anew.

use std::process::ExitCode;

use anyhow::{Result, bail};
use ostler_floors::{House, architecture, drawing, table};

fn main() -> Result<ExitCode> {
    let mut writes = false;
    let mut named = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--write" => writes = true,
            option if option.starts_with('-') => bail!("{option:?} is no option; there is --write"),
            _ => named = Some(argument),
        }
    }
    let is_meant = |floors: &&table::Crate| match &named {
        Some(named) => floors.name() == named || floors.folder == named,
        None => true,
    };
    let meant: Vec<_> = table::CRATES.iter().filter(is_meant).collect();
    if meant.is_empty() {
        let names: Vec<_> = table::CRATES.iter().map(table::Crate::name).collect();
        bail!("there is no such crate; there are {}", names.join(", "));
    }
    let mut found = Vec::new();
    for floors in meant {
        let house = House::read(floors)?;
        println!("{}\n{}", floors.folder, drawing::imports(&house));
        if named.is_some() {
            println!("What they are\n{}", drawing::floors(&house));
        }
        found.extend(house.faults());
    }
    if writes {
        architecture::write()?;
    }
    for fault in &found {
        eprintln!("{fault}");
    }
    Ok(ExitCode::from(u8::from(!found.is_empty())))
}
