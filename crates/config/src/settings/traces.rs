//! `Ostler:Traces`: a span for each exchange, sent to a collector.

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::reader::Reader;
use crate::schema::Metadata;
use crate::tree::Section;

/// `Ostler:Traces`, where it has an `Endpoint`.
#[derive(Debug, Clone, PartialEq)]
pub struct TracesConfig {
    /// `Endpoint`: the collector's URL, without the path of traces.
    pub endpoint: String,
    /// `Protocol`.
    pub protocol: OtlpProtocol,
    /// `Sample`: the share of traces that are sent, of those that begin here.
    pub sample: f64,
    /// `ServiceName`.
    pub service_name: String,
    /// `Headers`: what is sent beside the spans.
    pub headers: Metadata,
}

// A share is a number, and equal to itself.
impl Eq for TracesConfig {}

/// `Ostler:Traces:Protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// Protobuf over HTTP.
    #[default]
    HttpProtobuf,
    /// gRPC.
    Grpc,
}

/// Reads `Ostler:Traces`; `None` where there are to be no traces.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> Option<TracesConfig> {
    let mut reader = Reader::new(section, &keys::TRACES, diagnostics);
    let endpoint = reader.parsed("Endpoint", |text| match text.trim() {
        "" => Ok(None),
        url => endpoint(url).map(Some),
    });
    let protocol = reader.parsed("Protocol", |text| {
        match text.trim().to_ascii_lowercase().as_str() {
            "httpprotobuf" => Ok(OtlpProtocol::HttpProtobuf),
            "grpc" => Ok(OtlpProtocol::Grpc),
            _ => Err(format!("{text:?} is neither \"HttpProtobuf\" nor \"Grpc\"")),
        }
    });
    let sample = reader.parsed("Sample", |text| match text.trim().parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("{text:?} is not a number from 0 to 1")),
    });
    let service_name = reader.text("ServiceName");
    let headers = reader.map("Headers");
    reader.finish();
    Some(TracesConfig {
        endpoint: endpoint.flatten()?,
        protocol: protocol.unwrap_or_default(),
        sample: sample.unwrap_or(1.0),
        service_name: service_name.unwrap_or_else(|| "ostler".to_owned()),
        headers,
    })
}

fn endpoint(url: &str) -> Result<String, String> {
    let lower = url.to_ascii_lowercase();
    let rest = lower
        .strip_prefix("http://")
        .or_else(|| lower.strip_prefix("https://"));
    match rest {
        Some(rest)
            if !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', ' ']) =>
        {
            Ok(url.to_owned())
        }
        _ => Err(format!("{url:?} is not of the form http://collector:4318")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_of_http() {
        for url in ["http://127.0.0.1:4318", "HTTPS://collector/base/"] {
            assert_eq!(endpoint(url), Ok(url.to_owned()));
        }
        for url in [
            "collector:4317",
            "grpc://collector",
            "http://",
            "http:///v1",
            "http://a?b",
            "http://a b",
        ] {
            assert!(endpoint(url).is_err(), "{url}");
        }
    }
}
