//! The paths that are certain to lead to a route, remembered by route and host: working them out looks at all
//! routes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use ostler_http1::RequestHead;
use ostler_model::{ExclusivePaths, PathSet, RouteModel, Snapshot};

use crate::head_view::HeadView;

/// Routes and hosts that are remembered; clients may ask for any number of hosts.
const MOST: usize = 1024;

/// What has been worked out of one configuration.
#[derive(Debug, Default)]
pub(crate) struct ExclusivePathsOfRoutes {
    revision: RefCell<u64>,
    /// By the route's address, which the snapshot keeps, and the host.
    known: RefCell<HashMap<(usize, String), Option<ExclusivePaths>>>,
}

impl ExclusivePathsOfRoutes {
    /// The paths of a route that a request in clear text has taken; `most` of them may be left out.
    pub(crate) fn find(
        &self,
        snapshot: &Snapshot,
        route: &Arc<RouteModel>,
        head: &RequestHead,
        most: usize,
    ) -> Option<ExclusivePaths> {
        let mut known = self.known.borrow_mut();
        if self.revision.replace(snapshot.revision) != snapshot.revision || known.len() >= MOST {
            known.clear();
        }
        let key = (Arc::as_ptr(route) as usize, head.authority().to_owned());
        if let Some(found) = known.get(&key) {
            match found {
                // Those of another path are others.
                Some(found) if !includes(found, head.path()) => {}
                found => return found.clone(),
            }
        }
        let view = HeadView(head, false);
        let found = snapshot.routes.exclusive_paths(route, &view, most);
        known.insert(key, found.clone());
        found
    }
}

fn includes(found: &ExclusivePaths, path: &str) -> bool {
    match &found.paths {
        PathSet::Exactly(exactly) => exactly == path,
        PathSet::Below { prefix, .. } => path.starts_with(prefix.as_str()),
    }
}
