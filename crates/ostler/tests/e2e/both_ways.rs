//! One application behind the same routes twice: delegated under `/d/`, forwarded under `/f/`.

use crate::support::{Front, Process, Sandbox};

pub(crate) struct BothWays {
    pub(crate) sandbox: Sandbox,
    pub(crate) front: Front,
    pub(crate) target: Process,
}

pub(crate) const WAYS: [&str; 2] = ["d", "f"];

impl BothWays {
    /// `routes` are the names and the policies of routes: each is `/d/NAME/...` and `/f/NAME/...`.
    /// `sections` stand beside `ReverseProxy`.
    pub(crate) fn new(sections: &str, routes: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::new();
        let arguments = ["sample-target", "--queue", "q", "--threads", "1"];
        let target = sandbox.ostler(&[&arguments[..], &["--listen", "127.0.0.1:0"]].concat());
        let mut address = None;
        let mut ready = false;
        while address.is_none() || !ready {
            let line = target.line();
            ready |= line == "queue q ready";
            if let Some(own) = line.strip_prefix("listening on ") {
                address = Some(format!("{own}/"));
            }
        }
        let json = configuration(sections, routes, &address.unwrap());
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
