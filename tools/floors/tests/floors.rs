//! Imports go down in every crate, and the architecture shows the floors as they are.

use std::collections::BTreeSet;

use ostler_floors::house::root;
use ostler_floors::{House, architecture, table};

#[test]
fn imports_go_down() {
    let houses = table::CRATES
        .iter()
        .map(|floors| House::read(floors).unwrap());
    let faults: Vec<String> = houses.flat_map(|house| house.faults()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_crate_has_floors() {
    let mut crates = BTreeSet::from(["bench".to_owned()]);
    for folder in ["crates", "bench", "tools"] {
        for entry in root().join(folder).read_dir().unwrap() {
            let entry = entry.unwrap();
            if entry.path().join("Cargo.toml").exists() {
                crates.insert(format!("{folder}/{}", entry.file_name().display()));
            }
        }
    }
    let listed = table::CRATES.iter().map(|floors| floors.folder.to_owned());
    assert_eq!(crates, listed.collect());
}

#[test]
fn every_circle_that_may_stand_is_one() {
    for floors in table::CRATES {
        let house = House::read(floors).unwrap();
        let circles = ostler_floors::faults::circles(&house.arrows);
        for standing in floors.standing {
            let mut circles = circles.iter();
            assert!(
                circles.any(|circle| circle == standing.modules),
                "{}: {:?} no longer import each other",
                floors.folder,
                standing.modules
            );
        }
    }
}

#[test]
fn the_architecture_shows_the_floors() {
    let (page, drawn) = architecture::pages().unwrap();
    assert!(
        page == drawn,
        "docs/architecture.md is behind: just floors --write"
    );
}
