//! What is seen of a crate's imports, and what is not.

use crate::arrows::Arrows;
use crate::faults::circles;
use crate::modules::Modules;

fn arrows(text: &str) -> Vec<String> {
    let arrows = Arrows::of(&Modules::of_text(text).unwrap());
    let shown = arrows.iter().map(|(from, to)| format!("{from} -> {to}"));
    shown.collect()
}

#[test]
fn an_import_is_an_arrow_to_the_module_that_defines_the_item() {
    let text = "
        mod a { use crate::b::Shown; use crate::b::{c::{Inner as Other}, self}; }
        mod b { pub(crate) use c::Shown; pub mod c { pub struct Shown; pub struct Inner; } }";
    assert_eq!(arrows(text), ["a -> b::c"]);
}

#[test]
fn paths_in_the_middle_of_code_are_arrows() {
    let text = "
        mod a { fn f() -> crate::b::B { g(super::c::C) } }
        mod b { pub struct B; impl B { fn f(&self) { matches!(x, crate::c::C { .. }) } } }
        mod c { use crate::d; fn f() { d::run::<u8>() } }
        mod d { pub fn run() {} }";
    assert_eq!(arrows(text), ["a -> b", "a -> c", "b -> c", "c -> d"]);
}

#[test]
fn comments_tests_and_other_crates_are_none() {
    let text = r#"
        /// See [`crate::b::B`].
        mod a {
            // use crate::b::B;
            use std::b::B;
            #[cfg(test)]
            mod tests { use crate::b::B; }
            #[cfg(test)]
            fn helper() { crate::b::run() }
            fn f() -> &'static str { "crate::b::B" }
        }
        mod b { pub struct B; }"#;
    assert_eq!(arrows(text), Vec::<String>::new());
}

#[test]
fn a_folder_that_passes_on_does_not_use() {
    let text = "
        mod a { pub use b::B; pub struct A; pub mod b { use super::A; pub struct B; } }";
    assert_eq!(arrows(text), ["a::b -> a"]);
}

#[test]
fn what_another_crate_defines_is_nobodys() {
    let text = "
        mod a { use crate::b::Ordering; }
        mod b { pub(crate) use std::sync::atomic::Ordering; }";
    assert_eq!(arrows(text), Vec::<String>::new());
}

#[test]
fn modules_that_use_each_other_by_way_of_a_third_are_a_circle() {
    let text = "
        mod a { use crate::b::B; pub struct A; }
        mod b { use crate::c::C; pub struct B; }
        mod c { use crate::a::A; use crate::d::D; pub struct C; }
        mod d { pub struct D; }";
    let arrows = Arrows::of(&Modules::of_text(text).unwrap());
    assert_eq!(circles(&arrows), [["a", "b", "c"]]);
}
