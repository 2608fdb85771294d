//! Addresses as `ostler proxy` takes them, short, and the URLs that a configuration has in their place.

use std::str::FromStr;

/// Where to listen, as `--from` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenAt {
    /// A URL, whose scheme says whether it is with TLS.
    Url(String),
    /// What follows a scheme: `*:8080`, `unix:/run/front.sock`.
    Authority(String),
}

impl FromStr for ListenAt {
    type Err = &'static str;

    /// Whether it can be listened on is said where URLs of a configuration are checked.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            _ if is_number(text) => return Err("a port has a colon before it, as in :8080"),
            _ if text.contains("://") => Self::Url(text.to_owned()),
            _ if text.starts_with(':') => Self::Authority(format!("*{text}")),
            _ => Self::Authority(text.to_owned()),
        })
    }
}

impl ListenAt {
    /// The URL to listen on, with a certificate or without.
    ///
    /// # Errors
    ///
    /// When its scheme says otherwise.
    pub(crate) fn url(&self, has_certificate: bool) -> Result<String, &'static str> {
        match self {
            Self::Authority(rest) if has_certificate => Ok(format!("https://{rest}")),
            Self::Authority(rest) => Ok(format!("http://{rest}")),
            Self::Url(url) => match (scheme(url).eq_ignore_ascii_case("https"), has_certificate) {
                (true, false) => Err("https takes a certificate: --tls CERT,KEY"),
                (false, true) => {
                    Err("--tls takes a URL with https, or an address without a scheme")
                }
                _ => Ok(url.clone()),
            },
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn scheme(url: &str) -> &str {
    url.split_once("://").map_or("", |(scheme, _)| scheme)
}

/// Who answers, as `--to` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProxyTo {
    /// Forwarded to this URL.
    Url(String),
    /// Delegated to the request queue of this name.
    Queue(String),
}

impl FromStr for ProxyTo {
    type Err = &'static str;

    /// The rest is said where addresses of a configuration are checked.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(name) = text.strip_prefix("queue:") {
            return match name {
                "" => Err("a queue has a name: queue:NAME"),
                name => Ok(Self::Queue(name.to_owned())),
            };
        }
        if is_number(text) {
            return Err("a port has a colon before it, as in :3000");
        }
        Ok(Self::Url(match text {
            _ if text.contains("://") => text.to_owned(),
            _ if text.starts_with("unix:") => format!("http://{text}"),
            _ if text.starts_with(':') => format!("http://localhost{text}/"),
            _ => format!("http://{text}/"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_listen_has_the_scheme_that_the_certificate_asks_for() {
        for (text, plain, with_tls) in [
            (":8080", Ok("http://*:8080"), Ok("https://*:8080")),
            ("[::1]:80", Ok("http://[::1]:80"), Ok("https://[::1]:80")),
            ("unix:/a", Ok("http://unix:/a"), Ok("https://unix:/a")),
            ("http://x:1", Ok("http://x:1"), Err(())),
            ("HTTPS://x:1", Err(()), Ok("HTTPS://x:1")),
        ] {
            let from: ListenAt = text.parse().unwrap();
            let url = |has_certificate| from.url(has_certificate).map_err(|_| ());
            assert_eq!(url(false), plain.map(str::to_owned), "{text}");
            assert_eq!(url(true), with_tls.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn who_answers_is_a_url_or_a_queue() {
        for (text, wanted) in [
            (":3000", "http://localhost:3000/"),
            ("10.0.0.1:80", "http://10.0.0.1:80/"),
            ("unix:/run/app.sock", "http://unix:/run/app.sock"),
            ("https://example.com/base", "https://example.com/base"),
        ] {
            assert_eq!(text.parse(), Ok(ProxyTo::Url(wanted.to_owned())), "{text}");
        }
        assert_eq!("queue:shop".parse(), Ok(ProxyTo::Queue("shop".to_owned())));
        for text in ["queue:", "3000"] {
            assert!(text.parse::<ProxyTo>().is_err(), "{text}");
        }
    }
}
