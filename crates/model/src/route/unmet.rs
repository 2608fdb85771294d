//! Which parts of a route's `Match` a request does not satisfy: why it goes to another route, or to none.

use std::sync::Arc;

use ostler_config::schema::MatchConfig;

use super::{Found, RequestView, RouteModel, RouteTable};

/// A part of a route's `Match`, each of which a request must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchPart {
    /// `Path`.
    Path,
    /// `Hosts`, any of which will do.
    Hosts,
    /// `Methods`, any of which will do.
    Methods,
    /// The entry of `Headers` at this index.
    Header(usize),
    /// The entry of `QueryParameters` at this index.
    QueryParameter(usize),
}

impl RouteModel {
    /// The parts that a request does not satisfy, each judged by itself. A request that satisfies all of
    /// them may still go to another route, which stands before this one.
    ///
    /// Builds a table of routes for each part: it is for people who ask, not for requests that wait.
    pub fn unmet<R: RequestView + ?Sized>(&self, request: &R) -> Vec<MatchPart> {
        let parts = self.parts().into_iter();
        let unmet = parts.filter(|(_, only)| !self.satisfied(only, request));
        unmet.map(|(part, _)| part).collect()
    }

    /// The parts there are, each as a `Match` of its own.
    fn parts(&self) -> Vec<(MatchPart, MatchConfig)> {
        let all = &self.config.matches;
        let mut parts = Vec::new();
        if all.path.is_some() {
            let path = all.path.clone();
            let only = MatchConfig {
                path,
                ..MatchConfig::default()
            };
            parts.push((MatchPart::Path, only));
        }
        if !all.hosts.is_empty() {
            let hosts = all.hosts.clone();
            let only = MatchConfig {
                hosts,
                ..MatchConfig::default()
            };
            parts.push((MatchPart::Hosts, only));
        }
        if !all.methods.is_empty() {
            let methods = all.methods.clone();
            let only = MatchConfig {
                methods,
                ..MatchConfig::default()
            };
            parts.push((MatchPart::Methods, only));
        }
        for (at, rule) in all.headers.iter().enumerate() {
            let headers = vec![rule.clone()];
            let only = MatchConfig {
                headers,
                ..MatchConfig::default()
            };
            parts.push((MatchPart::Header(at), only));
        }
        for (at, rule) in all.query_parameters.iter().enumerate() {
            let query_parameters = vec![rule.clone()];
            let only = MatchConfig {
                query_parameters,
                ..MatchConfig::default()
            };
            parts.push((MatchPart::QueryParameter(at), only));
        }
        parts
    }

    /// Whether a route with this `Match`, and otherwise as this one, would be found if it were alone.
    fn satisfied<R: RequestView + ?Sized>(&self, only: &MatchConfig, request: &R) -> bool {
        let mut route = self.clone();
        Arc::make_mut(&mut route.config).matches = only.clone();
        // Its parts are those of a route that is in a table: they can be used.
        let table = RouteTable::build(&[Arc::new(route)]);
        table.is_ok_and(|table| matches!(table.find(request), Found::Route(_)))
    }
}

#[cfg(test)]
mod tests {
    use ostler_config::schema::{HeaderMatchConfig, QueryParameterMatchConfig, RouteConfig};

    use super::*;
    use crate::policies::RoutePolicies;
    use crate::route::testing::Request;

    fn route() -> RouteModel {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        RouteModel {
            config: Arc::new(RouteConfig {
                route_id: "r".to_owned(),
                matches: MatchConfig {
                    path: Some("/a/{id:int}".to_owned()),
                    hosts: texts(&["*.example.com", "localhost"]),
                    methods: texts(&["PUT", "POST"]),
                    headers: vec![HeaderMatchConfig {
                        name: "X-A".to_owned(),
                        values: texts(&["1"]),
                        ..HeaderMatchConfig::default()
                    }],
                    query_parameters: vec![QueryParameterMatchConfig {
                        name: "q".to_owned(),
                        values: texts(&["2"]),
                        ..QueryParameterMatchConfig::default()
                    }],
                },
                ..RouteConfig::default()
            }),
            cluster: None,
            policies: RoutePolicies::default(),
            action: None,
            transforms: None,
        }
    }

    #[test]
    fn each_part_is_judged_by_itself() {
        let good = Request::to("/a/1?q=2").method("POST").field("x-a", "1");
        assert_eq!(route().unmet(&good), []);
        let path = Request::to("/a/b?q=2").method("POST").field("x-a", "1");
        assert_eq!(route().unmet(&path), [MatchPart::Path]);
        assert_eq!(
            route().unmet(&good.clone().at("x.test")),
            [MatchPart::Hosts]
        );
        assert_eq!(route().unmet(&good.method("GET")), [MatchPart::Methods]);
        assert_eq!(
            route().unmet(&Request::to("/").at("x.test")),
            [
                MatchPart::Path,
                MatchPart::Hosts,
                MatchPart::Methods,
                MatchPart::Header(0),
                MatchPart::QueryParameter(0),
            ]
        );
    }

    #[test]
    fn a_route_without_parts_is_everybodys() {
        let mut route = route();
        Arc::make_mut(&mut route.config).matches = MatchConfig::default();
        assert_eq!(route.unmet(&Request::to("/").method("PURGE")), []);
    }
}
