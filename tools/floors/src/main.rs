//! Draws the floors of each crate, from top to bottom, and fails for an arrow up. With `--write` the
//! drawing in `docs/architecture.md` is made anew.

use std::process::ExitCode;

use anyhow::{Result, bail};
use ostler_floors::{House, architecture, drawing, table};

fn main() -> Result<ExitCode> {
    let writes = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--write") => true,
        Some(other) => bail!("{other:?} is no argument; there is --write"),
    };
    let mut found = Vec::new();
    for floors in table::CRATES {
        let house = House::read(floors)?;
        println!("{}\n{}", floors.name, drawing::imports(&house));
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
