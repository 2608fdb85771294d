//! The request-target: its four forms, and what may stand in them (RFC 9112 section 3.2).

use std::borrow::Cow;

use crate::error::HeadError;

/// Which of the four forms a request-target has, and where its parts stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `/path?query`
    Origin,
    /// `http://authority/path?query`: where the authority and the path begin and end.
    Absolute {
        is_https: bool,
        authority: (usize, usize),
        path: usize,
    },
    /// `authority`, for CONNECT.
    Authority,
    /// `*`, for OPTIONS.
    Asterisk,
}

/// Checks a request-target for its method.
pub(crate) fn parse(target: &[u8], method: &[u8]) -> Result<Form, HeadError> {
    // Visible ASCII, and nothing that a later parser may take for the start of a fragment.
    if target.is_empty()
        || !target
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b'#')
    {
        return Err(HeadError::RequestTarget);
    }
    if method == b"CONNECT" {
        let text = std::str::from_utf8(target).map_err(|_| HeadError::RequestTarget)?;
        let valid = is_authority(text)
            && text
                .rsplit_once(':')
                .is_some_and(|(_, port)| !port.is_empty());
        return if valid {
            Ok(Form::Authority)
        } else {
            Err(HeadError::RequestTarget)
        };
    }
    if target == b"*" {
        return if method == b"OPTIONS" {
            Ok(Form::Asterisk)
        } else {
            Err(HeadError::RequestTarget)
        };
    }
    let form = if target[0] == b'/' {
        Form::Origin
    } else {
        absolute(target)?
    };
    let path = match form {
        Form::Absolute { path, .. } => &target[path..],
        _ => target,
    };
    check_path(path)?;
    Ok(form)
}

fn absolute(target: &[u8]) -> Result<Form, HeadError> {
    let (is_https, scheme) = [(false, &b"http://"[..]), (true, b"https://")]
        .into_iter()
        .find(|(_, scheme)| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or(HeadError::RequestTarget)?;
    let scheme = scheme.len();
    let rest = &target[scheme..];
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let authority = std::str::from_utf8(&rest[..end]).map_err(|_| HeadError::RequestTarget)?;
    if authority.is_empty() || !is_authority(authority) {
        return Err(HeadError::RequestTarget);
    }
    Ok(Form::Absolute {
        is_https,
        authority: (scheme, scheme + end),
        path: scheme + end,
    })
}

/// A decoded NUL is refused: nobody behind expects one.
fn check_path(path: &[u8]) -> Result<(), HeadError> {
    let end = path
        .iter()
        .position(|byte| *byte == b'?')
        .unwrap_or(path.len());
    match path[..end].windows(3).any(|escape| escape == b"%00") {
        true => Err(HeadError::RequestTarget),
        false => Ok(()),
    }
}

/// Whether a byte has no place in a URI as it is (RFC 3986 appendix A).
fn needs_escape(byte: u8) -> bool {
    matches!(
        byte,
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..
    )
}

/// A request-target with everything in its path and query escaped that no URI has, as Kestrel takes
/// it: browsers and command lines send such characters daily, and whoever reads the target behind
/// this has one form of it to understand. What is a URI is borrowed.
///
/// Bytes above 0x7F are escaped as they are; whether to take them is for the caller to say.
pub fn escape_request_target(target: &[u8]) -> Cow<'_, [u8]> {
    if !target.iter().any(|byte| needs_escape(*byte)) {
        return Cow::Borrowed(target);
    }
    let mut escaped = Vec::with_capacity(target.len() + 16);
    for byte in target {
        if needs_escape(*byte) {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            escaped.push(*byte);
        }
    }
    Cow::Owned(escaped)
}

/// Whether two authorities are one: names compare without case, and the scheme's own port is as none.
pub(crate) fn is_same_authority(left: &[u8], right: &[u8], is_https: bool) -> bool {
    let port: &[u8] = if is_https { b":443" } else { b":80" };
    let plain = |authority: &'_ [u8]| -> usize {
        let without = authority.strip_suffix(port).unwrap_or(authority);
        without.strip_suffix(b":").unwrap_or(without).len()
    };
    left[..plain(left)].eq_ignore_ascii_case(&right[..plain(right)])
}

/// `host[:port]` without user information (RFC 9110 section 4.2.4 and 7.2).
pub(crate) fn is_authority(text: &str) -> bool {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let valid = address.parse::<std::net::Ipv6Addr>().is_ok();
        match port.strip_prefix(':') {
            Some(port) => (valid, port),
            None => (valid && port.is_empty(), ""),
        }
    } else {
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        (!host.is_empty() && host.bytes().all(is_host_byte), port)
    };
    host && port.bytes().all(|byte| byte.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok())
}

/// `reg-name` (RFC 3986 section 3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}
