//! The `Address` of a destination. YARP looks at it with each request and answers 500 or 502; here
//! it is checked when it is read, as reference A3.8 recommends for other late errors.

use crate::socket_address;

/// What is wrong with the address of a destination that is forwarded to, as a phrase.
pub(super) fn check_url(address: &str) -> Result<(), String> {
    let of_socket = socket_address::split(address);
    if let Some((socket, base)) = &of_socket {
        check_socket(socket, base)?;
    }
    let address = of_socket.map_or_else(|| address.to_owned(), |(_, base)| base);
    let (_, _, rest) = split(&address)?;
    match rest.contains('#') {
        true => Err("it has a fragment".to_owned()),
        false => Ok(()),
    }
}

fn check_socket(socket: &str, base: &str) -> Result<(), String> {
    // As much as an address of the kernel has room for.
    const LONGEST: usize = 107;
    if socket.len() > LONGEST || socket.contains('\0') {
        return Err(format!(
            "the path of its socket is longer than {LONGEST} bytes"
        ));
    }
    let base = base.split_once("://localhost").map_or("", |(_, base)| base);
    match base.is_empty() || base.starts_with('/') {
        true => Ok(()),
        false => Err("its base path, behind the socket's, does not begin with /".to_owned()),
    }
}

/// What is wrong with the URL prefix of a destination that is delegated to, by http.sys' grammar.
pub(super) fn check_url_prefix(address: &str) -> Result<(), String> {
    let (_, port, path) = split(address)?;
    if port.is_some_and(|port| port.starts_with('0')) {
        return Err("its port is not a number from 1 to 65535".to_owned());
    }
    match path.contains(['?', '#', '*']) {
        true => Err("its path holds ?, # or *".to_owned()),
        false => Ok(()),
    }
}

/// Host, port and what follows.
fn split(address: &str) -> Result<(&str, Option<&str>, &str), String> {
    let (scheme, rest) = address
        .split_once("://")
        .ok_or("it does not begin with http:// or https://")?;
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err(format!("its scheme {scheme:?} is neither http nor https"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err("it has no host".to_owned());
    }
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    if port.is_some_and(|port| !is_port(port)) {
        return Err("its port is not a number from 1 to 65535".to_owned());
    }
    Ok((host, port, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_a_host_and_perhaps_a_port() {
        for address in [
            "http://localhost:5001/",
            "HTTPS://h",
            "http://[::1]",
            "http://[::1]:80/x?y",
            "http://*:80/",
            "http://bücher.de/a b",
            "http://unix:/run/a.sock",
            "https://unix:/run/a.sock:/base?x",
        ] {
            assert_eq!(check_url(address), Ok(()), "{address}");
        }
        for address in [
            "htp:/x",
            "localhost:5001",
            "ftp://h/",
            "http://",
            "http:///x",
            "http://h:0/",
            "http://h:port/",
            "http://h:65536",
            "http://h:+1",
            "http://a b/",
            "http://h/#x",
            "http://unix:run/a.sock",
            "http://unix:/run/a.sock:base",
            "http://unix:/run/a.sock:/#x",
        ] {
            assert!(check_url(address).is_err(), "{address}");
        }
    }

    #[test]
    fn a_url_prefix_has_no_query_and_no_leading_zeros() {
        for address in [
            "http://*:80/",
            "http://+:80/a/",
            "https://*.a.com:443",
            "http://[::1]:8080/",
        ] {
            assert_eq!(check_url_prefix(address), Ok(()), "{address}");
        }
        for address in [
            "*:80",
            "http://*:080/",
            "http://*:80/?q",
            "http://*:80/*",
            "http://*:80000/",
        ] {
            assert!(check_url_prefix(address).is_err(), "{address}");
        }
    }
}
