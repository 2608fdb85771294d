//! What the pages under `docs/` say, as far as a program can check it: rules that comments cite exist,
//! links lead somewhere, and the crates depend on each other as the architecture says.

mod absences;
mod citations;
mod continuous_integration;
mod crates;
mod links;
mod repository;
