//! Clients are to ask by https: where one that asks by http is sent, and what browsers are told to remember
//! (ASP.NET's `UseHttpsRedirection` and `UseHsts`).

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY};
use http::{HeaderName, Response, StatusCode};
use ostler_config::host_name::without_port;
use ostler_config::{HstsConfig, HttpsRedirectionConfig};
use ostler_http1::RequestHead;
use ostler_model::transforms::path::{forwarded, forwarded_query};

/// The answer to a request that came by http. `prefix` is what was taken from its path before it came here.
/// `None` for one that asks for a tunnel, which is none of a browser's.
pub(crate) fn to_https(
    options: &HttpsRedirectionConfig,
    head: &RequestHead,
    prefix: Option<&str>,
) -> Option<Response<Bytes>> {
    if head.is_connect() {
        return None;
    }
    let mut response = Response::new(Bytes::new());
    let location = location(options.port, head, prefix);
    match (StatusCode::from_u16(options.status), location) {
        (Ok(status), Some(location)) => {
            *response.status_mut() = status;
            response.headers_mut().insert(LOCATION, location);
        }
        // It names no host that it could be sent to.
        _ => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Some(response)
}

fn location(port: u16, head: &RequestHead, prefix: Option<&str>) -> Option<HeaderValue> {
    let host = without_port(head.authority());
    if host.is_empty() {
        return None;
    }
    let mut text = format!("https://{host}");
    if port != 443 {
        text.push_str(&format!(":{port}"));
    }
    text.push_str(prefix.unwrap_or_default());
    text.push_str(&forwarded(head.path()));
    if let Some(query) = head.query() {
        text.push('?');
        text.push_str(&forwarded_query(query));
    }
    HeaderValue::try_from(text).ok()
}

/// What browsers are told to remember of a host (RFC 6797).
#[derive(Debug, Clone)]
pub struct Hsts {
    value: HeaderValue,
    excluded: Vec<String>,
}

impl Hsts {
    /// As the configuration says.
    pub fn new(config: &HstsConfig) -> Self {
        let sub_domains = if config.include_sub_domains {
            "; includeSubDomains"
        } else {
            ""
        };
        let preload = if config.preload { "; preload" } else { "" };
        let seconds = config.max_age.as_secs();
        let value = format!("max-age={seconds}{sub_domains}{preload}");
        Self {
            // A number and two words always are one.
            value: HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("max-age=0")),
            excluded: config.excluded_hosts.clone(),
        }
    }

    /// The field for a response to a request for this host: over https alone (RFC 6797 section 7.2).
    pub(crate) fn field(
        &self,
        is_https: bool,
        authority: &str,
    ) -> Option<(HeaderName, &HeaderValue)> {
        let host = without_port(authority);
        let mut excluded = self.excluded.iter();
        let is_told = is_https && !excluded.any(|excluded| excluded.eq_ignore_ascii_case(host));
        is_told.then_some((STRICT_TRANSPORT_SECURITY, &self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_http1::{HeadDecoder, Limits};

    fn sent_to(port: u16, line: &str, host: &str, prefix: Option<&str>) -> Option<String> {
        let mut head = RequestHead::default();
        let text = format!("{line}\r\nHost: {host}\r\n\r\n");
        HeadDecoder::new(Limits::default())
            .decode(text.as_bytes(), &mut head)
            .unwrap();
        let options = HttpsRedirectionConfig { port, status: 307 };
        let response = to_https(&options, &head, prefix)?;
        let location = response.headers().get(LOCATION);
        Some(location.map_or(String::new(), |value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn the_same_is_asked_for_by_https() {
        for (port, line, host, prefix, expected) in [
            (
                443,
                "GET /a%20b?c=d HTTP/1.1",
                "a.example:8080",
                None,
                Some("https://a.example/a%20b?c=d"),
            ),
            (
                8443,
                "POST / HTTP/1.1",
                "[::1]:80",
                None,
                Some("https://[::1]:8443/"),
            ),
            (
                443,
                "GET /a HTTP/1.1",
                "a",
                Some("/base"),
                Some("https://a/base/a"),
            ),
            (443, "OPTIONS * HTTP/1.1", "a", None, Some("https://a")),
            (
                443,
                "GET http://b:81/x HTTP/1.1",
                "b:81",
                None,
                Some("https://b/x"),
            ),
            (443, "GET / HTTP/1.0", "", None, Some("")),
            (443, "CONNECT a:1 HTTP/1.1", "a:1", None, None),
        ] {
            assert_eq!(
                sent_to(port, line, host, prefix).as_deref(),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn browsers_are_told_over_https_and_not_of_hosts_that_are_excluded() {
        let hsts = Hsts::new(&HstsConfig {
            max_age: std::time::Duration::from_secs(60),
            include_sub_domains: true,
            preload: true,
            excluded_hosts: vec!["localhost".to_owned(), "[::1]".to_owned()],
        });
        let (_, value) = hsts.field(true, "a.example:444").unwrap();
        assert_eq!(value, "max-age=60; includeSubDomains; preload");
        for (is_https, authority) in [
            (false, "a.example"),
            (true, "LOCALHOST:1"),
            (true, "[::1]:1"),
        ] {
            assert!(hsts.field(is_https, authority).is_none(), "{authority}");
        }
    }
}
