//! `HttpClient:WebProxy`.

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf;
use crate::reader::Reader;
use crate::schema::WebProxyConfig;
use crate::tree::Section;

/// What .NET's client speaks to a proxy.
const SCHEMES: [&str; 5] = ["http", "https", "socks4", "socks4a", "socks5"];

/// Reads `WebProxy`, which counts only when it has an `Address`.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> Option<WebProxyConfig> {
    let mut reader = Reader::new(section, &keys::WEB_PROXY, diagnostics);
    let address = reader.parsed("Address", |text| match text {
        "" => Ok(String::new()),
        text => {
            // It may hold a password, and is not told.
            let address = leaf::absolute_uri(text)
                .map_err(|_| "it is not an absolute URI such as http://proxy:3128/")?;
            check(&address).map(|()| address)
        }
    });
    let address = address.filter(|address| !address.is_empty());
    let bypass_on_local = reader.parsed("BypassOnLocal", leaf::boolean);
    let use_default_credentials = reader.parsed("UseDefaultCredentials", leaf::boolean);
    if address.is_some() && use_default_credentials == Some(true) {
        let at = reader.section.child("UseDefaultCredentials");
        let message = "a process has no credentials of its own here, so none are sent";
        let remedy = "write them into Address, as in http://user:password@proxy:3128/";
        reader.warn(&at, message, Some(remedy.to_owned()));
    }
    reader.finish();
    Some(WebProxyConfig {
        address: address?,
        bypass_on_local,
        use_default_credentials,
    })
}

/// What is wrong with a proxy's address, as a phrase. .NET notices with each request.
fn check(address: &str) -> Result<(), String> {
    let (scheme, rest) = address.split_once("://").ok_or("it names no host")?;
    if !SCHEMES
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        let known = SCHEMES.join(", ");
        return Err(format!(
            "a proxy of the scheme {scheme:?} cannot be used; there are {known}"
        ));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (userinfo, host) = match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    };
    let is_written = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte);
    if !authority.bytes().all(is_written) {
        return Err("its characters must be ASCII, and others escaped by %".to_owned());
    }
    if userinfo.is_some() && scheme.to_ascii_lowercase().starts_with("socks4") {
        return Err("SOCKS 4 has no passwords, use socks5".to_owned());
    }
    let port = match host.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => Some(port),
        _ => None,
    };
    let name = host.strip_suffix(port.unwrap_or_default()).unwrap_or(host);
    if name.trim_end_matches(':').is_empty() {
        return Err("it names no host".to_owned());
    }
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err("its port is not a number from 1 to 65535".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_a_scheme_that_is_spoken_a_host_and_perhaps_a_port_and_credentials() {
        for address in [
            "http://proxy:3128/",
            "HTTP://proxy",
            "https://proxy:443",
            "socks5://u%40x:p@[::1]:1080",
            "socks4://10.0.0.1:1080",
            "SOCKS4a://proxy",
        ] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
        for (address, problem) in [
            ("ftp://proxy", "the scheme \"ftp\""),
            ("socks://proxy", "there are http, https, socks4"),
            ("socks5:proxy", "no host"),
            ("socks5://:1080", "no host"),
            ("socks5://user@/", "no host"),
            ("http://proxy:0", "port"),
            ("http://proxy:99999", "port"),
            ("http://proxy:x", "port"),
            ("http://b\u{fc}cher", "ASCII"),
            ("http://a b", "ASCII"),
            ("socks4://user@proxy", "socks5"),
        ] {
            let error = check(address).unwrap_err();
            assert!(error.contains(problem), "{address}: {error}");
        }
    }
}
