//! Matching among many routes.
fn main() {}
