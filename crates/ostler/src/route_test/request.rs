//! A request that is only thought of: what route matching reads of one.

use std::str::FromStr;

use http::{HeaderName, HeaderValue, Method, Uri};
use ostler_model::RequestView;

/// A field line, as `--header` says it.
#[derive(Debug, Clone)]
pub(crate) struct FieldLine {
    name: HeaderName,
    value: HeaderValue,
}

impl FromStr for FieldLine {
    type Err = String;

    /// `NAME: VALUE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once(':')
            .ok_or("a field has a name and a value: 'NAME: VALUE'")?;
        let name = name.trim().parse();
        let value = HeaderValue::from_str(value.trim());
        Ok(Self {
            name: name.map_err(|_| "what is before the colon is no name of a field")?,
            value: value.map_err(|_| "what is behind the colon is no value of a field")?,
        })
    }
}

impl FieldLine {
    fn host(authority: &str) -> Option<Self> {
        Some(Self {
            name: http::header::HOST,
            value: HeaderValue::from_str(authority).ok()?,
        })
    }
}

/// Where a request goes: an http or https URL, or a path of this host.
#[derive(Debug, Clone)]
pub(crate) struct RequestUrl {
    uri: Uri,
    authority: String,
}

impl FromStr for RequestUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let what = "it is an http or https URL, or a path that begins with /";
        let uri: Uri = text.parse().map_err(|error| format!("{error}: {what}"))?;
        let authority = match (uri.scheme_str(), uri.authority()) {
            (None, None) => "localhost",
            (Some("http" | "https"), Some(authority)) => authority.as_str(),
            _ => return Err("it is no http or https URL and no path that begins with /".to_owned()),
        };
        if authority.contains('@') {
            return Err("it names a user, which no request does".to_owned());
        }
        let authority = authority.to_owned();
        Ok(Self { uri, authority })
    }
}

/// A request as it would arrive.
#[derive(Debug)]
pub(super) struct Request {
    method: Method,
    target: Uri,
    authority: String,
    fields: Vec<FieldLine>,
}

impl Request {
    /// A field `Host` takes the place of the URL's authority, and where there is none, that is the field.
    pub(super) fn new(method: &Method, url: &RequestUrl, fields: &[FieldLine]) -> Self {
        let mut fields = fields.to_vec();
        let mut named = fields.iter();
        let host = named.find(|field| field.name == http::header::HOST);
        let host = host.map(|field| field.value.to_str().unwrap_or_default().to_owned());
        if host.is_none() {
            fields.extend(FieldLine::host(&url.authority));
        }
        Self {
            method: method.clone(),
            target: url.uri.clone(),
            authority: host.unwrap_or_else(|| url.authority.clone()),
            fields,
        }
    }

    /// As one would write it down.
    pub(super) fn url(&self) -> String {
        let scheme = self.target.scheme_str().unwrap_or("http");
        let path = self.target.path_and_query();
        let path = path.map_or("/", http::uri::PathAndQuery::as_str);
        format!("{scheme}://{}{path}", self.authority)
    }
}

impl RequestView for Request {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn path(&self) -> &str {
        self.target.path()
    }

    fn query(&self) -> Option<&str> {
        self.target.query()
    }

    fn authority(&self) -> &str {
        &self.authority
    }

    fn is_https(&self) -> bool {
        self.target.scheme_str() == Some("https")
    }

    fn for_each_field_value(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        let named = self.fields.iter();
        for field in named.filter(|field| field.name.as_str().eq_ignore_ascii_case(name)) {
            visit(field.value.as_bytes());
        }
    }
}
