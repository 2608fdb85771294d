//! The table of routes: an index by path, then by host, so that a request looks at few of many.
//!
//! A *leaf* is a place of the path index: all routes whose templates have one structure. A path
//! leads to few leaves (`/a/b` to those of `/a/b`, `/a/{x}`, `/a/{**x}`, `/{**x}` ...), and together
//! they hold the set S of reference A3.1. What steps 2 and 3 ask of S is kept with each leaf, summed
//! up or by host key, and so it makes no difference how many routes a leaf has that are not meant.

mod build;
mod exclusive;
mod find;
mod host_index;
mod index;
mod path_index;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod tests;
mod update;

use std::fmt;
use std::sync::Arc;

use crate::route::{RequestView, RouteBuildError, RouteModel};
use index::Index;

pub use exclusive::{ExclusivePaths, PathSet};
pub use find::Found;

/// Routes, ready to be matched. Cloning shares them.
#[derive(Clone, Default)]
pub struct RouteTable {
    index: Arc<Index>,
}

impl RouteTable {
    /// Compiles routes.
    ///
    /// # Errors
    ///
    /// Every part of every route that cannot be used: a path that is no template, an entry that is
    /// no host, a method that does not exist, a rule with an empty value.
    pub fn build(routes: &[Arc<RouteModel>]) -> Result<Self, Vec<RouteBuildError>> {
        Self::of(build::build(routes.into()))
    }

    /// The table of other routes, some of which are those of this one: `before` says of each where it
    /// stands here, if it is the very same model. Finds what [`build`](Self::build) would make find, for
    /// what the difference costs.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub(crate) fn update(
        &self,
        routes: Vec<Arc<RouteModel>>,
        before: &[Option<u32>],
    ) -> Result<Self, Vec<RouteBuildError>> {
        Self::of(update::update(&self.index, routes.into(), before))
    }

    fn of(index: Result<Index, Vec<RouteBuildError>>) -> Result<Self, Vec<RouteBuildError>> {
        index.map(|index| Self {
            index: Arc::new(index),
        })
    }

    /// Finds the route of a request: reference A3.1.
    ///
    /// Allocates nothing for an ordinary request: a path and a host in ASCII, without escapes and
    /// dot segments, that lead to few candidates without regular expressions.
    pub fn find<R: RequestView + ?Sized>(&self, request: &R) -> Found<'_> {
        self.index.find(request)
    }

    /// The paths that are certain to lead to `route`, which the request has taken, for requests to the same
    /// host; `None` where that cannot be said in a few words: `most` paths may be left out.
    pub fn exclusive_paths<R: RequestView + ?Sized>(
        &self,
        route: &Arc<RouteModel>,
        request: &R,
        most: usize,
    ) -> Option<ExclusivePaths> {
        exclusive::exclusive_paths(self.models(), route, request, most)
    }

    /// The routes, in the order they were given in.
    pub fn models(&self) -> &[Arc<RouteModel>] {
        &self.index.models
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.models().iter().map(|model| &model.config.route_id);
        f.debug_set().entries(ids).finish()
    }
}
