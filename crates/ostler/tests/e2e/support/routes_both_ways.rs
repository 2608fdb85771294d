//! One application behind the same routes twice: delegated under `/d/`, forwarded under `/f/`.

use super::{Front, Process, Sandbox};

pub(crate) struct RoutesBothWays {
    pub(crate) sandbox: Sandbox,
    pub(crate) front: Front,
    pub(crate) target: Process,
}

pub(crate) const WAYS: [&str; 2] = ["d", "f"];

impl RoutesBothWays {
    /// `routes` are the names and the policies of routes: each is `/d/NAME/...` and `/f/NAME/...`.
    /// `sections` stand beside `ReverseProxy`.
    pub(crate) fn new(sections: &str, routes: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::new();
        let (target, address) = sandbox.listening_target("q");
        let json = configuration(sections, routes, &address);
        let front = sandbox.front(&json);
        Self {
            sandbox,
            front,
            target,
        }
    }
}

fn configuration(sections: &str, routes: &[(&str, &str)], address: &str) -> String {
    let mut written = Vec::new();
    for way in WAYS {
        for (name, policies) in routes {
            let comma = if policies.is_empty() { "" } else { "," };
            written.push(format!(
                r#""{way}-{name}": {{ "ClusterId": "{way}", "Match": {{ "Path": "/{way}/{name}/{{**rest}}" }}{comma} {policies} }}"#
            ));
        }
    }
    let comma = if sections.is_empty() { "" } else { "," };
    format!(
        r#"{{ {sections}{comma} "ReverseProxy": {{ "Pipeline": [ "HttpSysDelegation" ],
            "Routes": {{ {} }},
            "Clusters": {{
                "d": {{ "Destinations": {{ "d": {{ "Address": "http://*:80/",
                    "Metadata": {{ "HttpSysDelegationQueue": "q" }} }} }} }},
                "f": {{ "Destinations": {{ "f": {{ "Address": "{address}" }} }} }} }} }} }}"#,
        written.join(",")
    )
}
