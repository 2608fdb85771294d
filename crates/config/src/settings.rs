//! Settings outside `ReverseProxy`: where to listen, limits, and our own section.

use std::time::Duration;

use crate::diagnostics::Diagnostics;
use crate::leaf;
use crate::reader::Reader;
use crate::schema::ProxyConfig;
use crate::tree::ConfigurationTree;

/// Everything a front is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where to listen: `Urls`, else the endpoints of `Kestrel:Endpoints`, else
    /// `http://localhost:5000`.
    pub urls: Vec<String>,
    /// The `ReverseProxy` section.
    pub proxy: ProxyConfig,
    /// The `Ostler` section and limits.
    pub ostler: OstlerConfig,
}

/// The `Ostler` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OstlerConfig {
    /// `Threads`; 0 is one a CPU.
    pub threads: usize,
    /// `RuntimeFolder`, instead of the one the environment says.
    pub runtime_folder: Option<String>,
    /// `TrustedUsers`: names or numbers of users whose targets are handed client sockets.
    pub trusted_users: Vec<String>,
    /// `Kestrel:Limits`.
    pub limits: FrontLimits,
}

/// What clients may send, named as ASP.NET names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontLimits {
    /// `MaxRequestLineSize` in bytes: 8192.
    pub request_line: usize,
    /// `MaxRequestHeadersTotalSize` in bytes: 32768; 65535 at most.
    pub head: usize,
    /// `MaxRequestHeaderCount`: 100.
    pub fields: usize,
    /// `KeepAliveTimeout`: 120 seconds, as http.sys.
    pub keep_alive_timeout: Duration,
    /// `RequestHeadersTimeout`: 30 seconds.
    pub head_timeout: Duration,
    /// `MaxRequestBodySize` in bytes; none by default.
    pub max_request_body_size: Option<u64>,
}

impl Default for FrontLimits {
    fn default() -> Self {
        Self {
            request_line: 8 * 1024,
            head: 32 * 1024,
            fields: 100,
            keep_alive_timeout: Duration::from_secs(120),
            head_timeout: Duration::from_secs(30),
            max_request_body_size: None,
        }
    }
}

pub(crate) fn urls(tree: &ConfigurationTree) -> Vec<String> {
    let listed = ["Urls", "ASPNETCORE_URLS", "DOTNET_URLS", "ASPNETCORE:URLS"]
        .into_iter()
        .find_map(|key| tree.value(key).filter(|text| !text.trim().is_empty()));
    if let Some(urls) = listed {
        return urls
            .split(';')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .map(str::to_owned)
            .collect();
    }
    let endpoints: Vec<_> = tree
        .section("Kestrel:Endpoints")
        .children()
        .filter_map(|(_, endpoint)| endpoint.child("Url").value().map(str::to_owned))
        .collect();
    if endpoints.is_empty() {
        vec!["http://localhost:5000".to_owned()]
    } else {
        endpoints
    }
}

pub(crate) fn ostler(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> OstlerConfig {
    let limits = limits(tree, diagnostics);
    let mut reader = Reader::new(tree.section("Ostler"), diagnostics);
    let config = OstlerConfig {
        threads: reader.parsed("Threads", leaf::count).unwrap_or_default(),
        runtime_folder: reader.text("RuntimeFolder"),
        trusted_users: reader.list("TrustedUsers"),
        limits,
    };
    reader.finish();
    config
}

fn limits(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> FrontLimits {
    const LONGEST_HEAD: usize = 65_535;
    let defaults = FrontLimits::default();
    let mut reader = Reader::new(tree.section("Kestrel:Limits"), diagnostics);
    let size = |text: &str| match leaf::count(text)? {
        0 => Err(format!("{text:?} is not positive")),
        size => Ok(size),
    };
    let head = |text: &str| match size(text)? {
        size if size > LONGEST_HEAD => Err(format!(
            "{text:?} is over {LONGEST_HEAD}: offsets into a head have 16 bits"
        )),
        size => Ok(size),
    };
    let positive = |text: &str| match leaf::duration(text)? {
        span if span.is_zero() => Err(format!("{text:?} is not positive")),
        span => Ok(span),
    };
    let limits = FrontLimits {
        request_line: reader
            .parsed("MaxRequestLineSize", head)
            .unwrap_or(defaults.request_line),
        head: reader
            .parsed("MaxRequestHeadersTotalSize", head)
            .unwrap_or(defaults.head),
        fields: reader
            .parsed("MaxRequestHeaderCount", size)
            .unwrap_or(defaults.fields),
        keep_alive_timeout: reader
            .parsed("KeepAliveTimeout", positive)
            .unwrap_or(defaults.keep_alive_timeout),
        head_timeout: reader
            .parsed("RequestHeadersTimeout", positive)
            .unwrap_or(defaults.head_timeout),
        max_request_body_size: None,
    };
    let body = reader.child("MaxRequestBodySize");
    if !body.is_empty() {
        reader.warn(&body, "it is not implemented yet and has no effect", None);
    }
    // ASP.NET's others are its own business: known, and not read.
    for other in [
        "MaxConcurrentConnections",
        "MaxConcurrentUpgradedConnections",
        "Http2",
        "Http3",
        "MaxResponseBufferSize",
        "MaxRequestBufferSize",
        "MinRequestBodyDataRate",
        "MinResponseDataRate",
    ] {
        let section = reader.child(other);
        if !section.is_empty() {
            reader.warn(
                &section,
                "it is not implemented yet and has no effect",
                None,
            );
        }
    }
    reader.finish();
    limits
}
