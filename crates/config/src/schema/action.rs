//! What a route answers in the place of a cluster.

use super::metadata::Metadata;

/// `Redirect` of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RedirectConfig {
    /// 301, 302, 303, 307 or 308; 307 if absent.
    pub status_code: Option<u16>,
    /// Where to: a [`LocationTemplate`].
    pub location: String,
}

/// `Respond` of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RespondConfig {
    /// From 200 to 599; 200 if absent.
    pub status_code: Option<u16>,
    /// The body, if there is one.
    pub body: Option<String>,
    /// The body's type.
    pub content_type: Option<String>,
    /// Further fields.
    pub headers: Metadata,
}

/// A location in which `{name}` is a value of the route's path or of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationTemplate {
    parts: Vec<LocationPart>,
}

/// A part of a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationPart {
    /// Stands as it is.
    Text(String),
    /// A value of this name.
    Value(String),
}

impl LocationTemplate {
    /// Parses one. `{{` and `}}` are braces.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a phrase.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(bad) = text
            .chars()
            .find(|c| c.is_ascii_control() || *c == ' ' || !c.is_ascii())
        {
            return Err(format!("{bad:?} has to be escaped in a location"));
        }
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..];
            if let Some(behind) = brace
                .strip_prefix("{{")
                .or_else(|| brace.strip_prefix("}}"))
            {
                plain.push_str(&brace[..1]);
                rest = behind;
                continue;
            }
            let name = brace
                .strip_prefix('{')
                .and_then(|rest| rest.split_once('}'));
            let Some((name, behind)) =
                name.filter(|(name, _)| !name.is_empty() && !name.contains('{'))
            else {
                return Err(format!("{brace:?} begins with a brace that has no other"));
            };
            if !plain.is_empty() {
                parts.push(LocationPart::Text(std::mem::take(&mut plain)));
            }
            // YARP's templates write a catch-all so.
            parts.push(LocationPart::Value(name.trim_start_matches('*').to_owned()));
            rest = behind;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(LocationPart::Text(plain));
        }
        let template = Self { parts };
        template.check_host()?;
        Ok(template)
    }

    /// A client's path is not to say to which host another client is sent.
    fn check_host(&self) -> Result<(), String> {
        let mut before = String::new();
        for part in &self.parts {
            match part {
                LocationPart::Text(text) => before.push_str(text),
                LocationPart::Value(name) => {
                    let is =
                        |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(name));
                    let authority = before.split_once("://").map(|(_, authority)| authority);
                    let ends = is(&["path", "uri", "query"]);
                    let in_authority =
                        authority.is_some_and(|text| !text.contains(['/', '?', '#']));
                    let is_scheme = is(&["scheme"]) && before.is_empty();
                    // `https:x` is read as `https://x` by browsers.
                    let is_behind_scheme = authority.is_none()
                        && before
                            .split(['?', '#'])
                            .next()
                            .is_some_and(|it| it.contains(':'))
                        && !before.starts_with('/');
                    if in_authority && !ends && !is(&["host"])
                        || is_behind_scheme
                        || before.is_empty() && !ends && !is_scheme
                    {
                        return Err(format!(
                            "{{{name}}} would say which host it leads to; put a `/` before it"
                        ));
                    }
                    before.push_str(if ends { "/" } else { "x" });
                }
            }
        }
        Ok(())
    }

    /// Its parts, in their order.
    pub fn parts(&self) -> &[LocationPart] {
        &self.parts
    }

    /// The names of its values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            LocationPart::Text(_) => None,
            LocationPart::Value(name) => Some(name.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_between_braces() {
        let parts = |text: &str| {
            let template = LocationTemplate::parse(text).unwrap();
            let parts = template.parts.iter().map(|part| match part {
                LocationPart::Text(text) => text.clone(),
                LocationPart::Value(name) => format!("<{name}>"),
            });
            parts.collect::<String>()
        };
        for (text, expected) in [
            ("https://{host}{uri}", "https://<host><uri>"),
            (
                "{scheme}://a.example/{**rest}?x={id}",
                "<scheme>://a.example/<rest>?x=<id>",
            ),
            ("/a{{b}}{query}", "/a{b}<query>"),
            ("{path}/", "<path>/"),
            ("", ""),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn what_leads_anywhere_or_nowhere_is_refused() {
        for text in [
            "/{",
            "/}",
            "/{}",
            "/{a",
            "/{a{b}}",
            "/a b",
            "/\r\n",
            "/\u{e9}",
            // Where these lead, whoever asks says.
            "https://{rest}",
            "https://a.example{rest}",
            "{rest}",
            "https://{host}.{rest}/",
            "https:{rest}",
            "https:/{rest}",
            "{scheme}:{path}",
        ] {
            assert!(LocationTemplate::parse(text).is_err(), "{text:?}");
        }
    }
}
