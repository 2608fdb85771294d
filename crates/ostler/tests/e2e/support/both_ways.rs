//! One target, reached both ways: its paths `/forwarded/...` over HTTP, `/delegated/...` by its queue.

use super::{Process, Sandbox};

/// The beginnings of paths, by way.
pub(crate) const WAYS: [&str; 2] = ["/forwarded", "/delegated"];

pub(crate) struct BothWays {
    pub(crate) target: Process,
    address: String,
}

impl BothWays {
    /// A sample target that listens on a queue and on an address, ready.
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let (target, address) = sandbox.listening_target("q");
        Self { target, address }
    }

    /// A configuration with both routes, each with the settings `route`; a route `/free/...` without
    /// them, that is delegated; and `sections` beside `ReverseProxy`. What is given ends with a
    /// comma or is empty.
    pub(crate) fn configuration(&self, route: &str, sections: &str) -> String {
        let address = &self.address;
        format!(
            r#"{{ {sections} "ReverseProxy": {{
                "Pipeline": [ "LoadBalancing", "HttpSysDelegation" ],
                "Routes": {{
                    "forwarded": {{ {route} "ClusterId": "forwarded", "Match": {{ "Path": "/forwarded/{{**rest}}" }} }},
                    "delegated": {{ {route} "ClusterId": "delegated", "Match": {{ "Path": "/delegated/{{**rest}}" }} }},
                    "free": {{ "ClusterId": "delegated", "RateLimiterPolicy": "Disable",
                        "Match": {{ "Path": "/free/{{**rest}}" }} }} }},
                "Clusters": {{
                    "forwarded": {{ "Destinations": {{ "d": {{ "Address": "{address}" }} }} }},
                    "delegated": {{ "Destinations": {{ "d": {{ "Address": "http://*:80/",
                        "Metadata": {{ "HttpSysDelegationQueue": "q" }} }} }} }} }} }} }}"#
        )
    }
}
