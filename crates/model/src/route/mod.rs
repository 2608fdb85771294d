//! Routes: which of them a request belongs to (reference A3).
//!
//! ```text
//! path  ->  S, the routes whose template fits  ->  method  ->  host  ->  filters  ->  rank  ->  one
//!           (PathIndex: a trie of segments)        405         (HostIndex)                  404, 500
//! ```

mod action;
mod error;
pub(crate) mod escape;
mod host;
mod method;
mod model;
pub(crate) mod path;
mod request_view;
mod rules;
mod table;
mod template;
#[cfg(test)]
pub(crate) mod testing;
mod unmet;
mod validate;

pub use action::RouteAction;
pub use error::RouteBuildError;
pub use host::{HostError, HostPattern};
pub use model::RouteModel;
pub use request_view::RequestView;
pub use table::{ExclusivePaths, Found, PathSet, RouteTable};
pub(crate) use template::PathBinder;
pub use template::{PathTemplate, TemplateError};
pub use unmet::MatchPart;
pub use validate::{ConfigurationRules, RouteRules};
