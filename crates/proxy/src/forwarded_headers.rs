//! Who a client is, where something that stands before the front says it and is believed: ASP.NET's
//! `UseForwardedHeaders`, step by step. What is taken over holds for one exchange; a connection carries
//! those of many clients.

use std::net::{IpAddr, SocketAddr};

use ostler_config::{ForwardedField, ForwardedHeadersConfig};
use ostler_http1::RequestHead;

use crate::client_side::ClientSide;
use crate::delegation::{decode_like, write_field, write_request_line};
use crate::tls::{Claimed, ClientFacts};

/// Takes over what the request says of its client, if its connection comes from somebody who is believed: the
/// client's side knows it from then on, and the head says the rest. `None` where it stays as it is.
pub(crate) fn take_over(
    options: &ForwardedHeadersConfig,
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
) -> Option<Box<RequestHead>> {
    let facts = client_side.client_facts();
    let said = Said::read(options, head);
    let (taken, consumed) = said.believe(options, facts)?;
    let client = facts.connection.client;
    let claimed = ClientFacts::claimed(
        facts,
        taken.client.or(client),
        Claimed {
            is_https: taken.is_https.unwrap_or(facts.is_https()),
            prefix: taken.prefix.map(str::to_owned),
        },
    );
    let head = said.rest(options, facts, head, &taken, consumed)?;
    client_side.claim(claimed);
    Some(head)
}

/// The entries of the fields, in their order.
struct Said<'a> {
    client: Vec<&'a str>,
    host: Vec<&'a str>,
    scheme: Vec<&'a str>,
    prefix: Vec<&'a str>,
}

/// What is believed of them.
#[derive(Debug, Default)]
struct Taken<'a> {
    client: Option<SocketAddr>,
    host: Option<&'a str>,
    is_https: Option<bool>,
    prefix: Option<&'a str>,
}

impl Taken<'_> {
    fn is_nothing(&self) -> bool {
        self.client.is_none()
            && self.host.is_none()
            && self.is_https.is_none()
            && self.prefix.is_none()
    }
}

impl<'a> Said<'a> {
    fn read(options: &'a ForwardedHeadersConfig, head: &'a RequestHead) -> Self {
        let of = |field: &'a Option<ForwardedField>| {
            let name = field.as_ref().map_or("", |field| &field.name);
            entries(head, name)
        };
        Self {
            client: of(&options.client),
            host: of(&options.host),
            scheme: of(&options.scheme),
            prefix: of(&options.prefix),
        }
    }

    /// How many entries each field that is looked at has.
    fn lengths(&self, options: &ForwardedHeadersConfig) -> impl Iterator<Item = usize> {
        let fields = [
            (options.client.is_some(), self.client.len()),
            (options.scheme.is_some(), self.scheme.len()),
            (options.host.is_some(), self.host.len()),
            (options.prefix.is_some(), self.prefix.len()),
        ];
        let looked_at = fields.into_iter().filter(|(is_looked_at, _)| *is_looked_at);
        looked_at.map(|(_, length)| length)
    }

    /// What is believed, and how many entries of each field that was. From the last entry on, each of which
    /// the one before has written: the connection's own peer the last one.
    fn believe(
        &self,
        options: &ForwardedHeadersConfig,
        facts: &ClientFacts,
    ) -> Option<(Taken<'a>, usize)> {
        let longest = self.lengths(options).max().unwrap_or_default();
        let mut lengths = self.lengths(options);
        if options.requires_symmetry && lengths.any(|length| length != longest) {
            tracing::debug!(
                "forwarded fields have not equally many entries: nothing is taken over"
            );
            return None;
        }
        let most = options.limit.map_or(longest, |limit| limit.min(longest));
        let mut taken = Taken::default();
        let mut peer = facts.connection.client.map(|peer| peer.ip());
        let mut consumed = 0;
        while consumed < most {
            if !options.known.contain(peer) {
                tracing::trace!(?peer, "a peer is not believed who its client is");
                break;
            }
            match last_but(&self.client, consumed).map(end) {
                Some(Some(client)) => {
                    taken.client = Some(client);
                    peer = Some(client.ip());
                }
                Some(None) => break,
                None if options.client.is_some() && options.requires_symmetry => return None,
                None => {}
            }
            let host = last_but(&self.host, consumed)
                .filter(|host| is_host(host) && options.allowed_hosts.allow(host));
            let is_https = last_but(&self.scheme, consumed).and_then(is_https);
            let prefix = last_but(&self.prefix, consumed).filter(|prefix| is_prefix(prefix));
            let is_missing = options.host.is_some() && host.is_none()
                || options.scheme.is_some() && is_https.is_none()
                || options.prefix.is_some() && prefix.is_none();
            if options.requires_symmetry && is_missing {
                return None;
            }
            taken.host = host.or(taken.host);
            taken.is_https = is_https.or(taken.is_https);
            taken.prefix = prefix.or(taken.prefix);
            consumed += 1;
        }
        (!taken.is_nothing()).then_some((taken, consumed))
    }

    /// The head without what has been taken over, and with what held before that.
    fn rest(
        &self,
        options: &ForwardedHeadersConfig,
        facts: &ClientFacts,
        head: &RequestHead,
        taken: &Taken<'_>,
        consumed: usize,
    ) -> Option<Box<RequestHead>> {
        let host = taken.host.filter(|_| !head.is_connect());
        let mut written = Rewritten {
            gone: Vec::with_capacity(8),
            added: Vec::with_capacity(8),
        };
        if taken.client.is_some() {
            let original = facts.connection.client.map(|client| client.to_string());
            written.replace(options.client.as_ref(), original, &self.client, consumed);
        }
        if taken.is_https.is_some() {
            let original = if facts.is_https() { "https" } else { "http" };
            let original = Some(original.to_owned());
            written.replace(options.scheme.as_ref(), original, &self.scheme, consumed);
        }
        if let Some(host) = host {
            let original = Some(head.authority().to_owned());
            written.replace(options.host.as_ref(), original, &self.host, consumed);
            written.gone.push("host");
            written.added.push(("host", host.to_owned()));
        }
        if taken.prefix.is_some() {
            written.replace(options.prefix.as_ref(), None, &self.prefix, consumed);
        }
        written.head(head, host.is_some())
    }
}

/// A head that is written anew: fields that are left out, and those that come instead.
struct Rewritten<'a> {
    gone: Vec<&'a str>,
    added: Vec<(&'a str, String)>,
}

impl<'a> Rewritten<'a> {
    /// Leaves of a field what has not been taken over, and notes what held before.
    fn replace(
        &mut self,
        field: Option<&'a ForwardedField>,
        original: Option<String>,
        entries: &[&str],
        consumed: usize,
    ) {
        let Some(field) = field else { return };
        self.gone.push(&field.name);
        let left = entries.len().saturating_sub(consumed);
        if left > 0 {
            self.added.push((&field.name, entries[..left].join(", ")));
        }
        if let (Some(name), Some(original)) = (&field.original, original) {
            self.gone.push(name);
            self.added.push((name, original));
        }
    }

    fn head(&self, head: &RequestHead, is_other_host: bool) -> Option<Box<RequestHead>> {
        let mut bytes = Vec::with_capacity(head.raw().len() + 128);
        let target = match head.request_target() {
            // Its authority is another one now, which the field says.
            target if is_other_host && !target.starts_with(['/', '*']) => match head.query() {
                Some(query) => format!("{}?{query}", head.path()),
                None => head.path().to_owned(),
            },
            target => target.to_owned(),
        };
        write_request_line(&mut bytes, head, head.method(), &target);
        for field in head.fields() {
            let is_gone = |gone: &&str| gone.eq_ignore_ascii_case(field.name);
            if !self.gone.iter().any(is_gone) {
                write_field(&mut bytes, field.name, field.value);
            }
        }
        for (name, value) in &self.added {
            write_field(&mut bytes, name, value.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        match decode_like(head, &bytes) {
            Ok(head) => Some(Box::new(head)),
            Err(error) => {
                tracing::debug!(
                    ?error,
                    "what is said of a client makes no head and is not believed"
                );
                None
            }
        }
    }
}

/// What stands between the commas of all fields of a name; a value that is no text says nothing.
fn entries<'a>(head: &'a RequestHead, name: &'a str) -> Vec<&'a str> {
    if name.is_empty() {
        return Vec::new();
    }
    let values = head.fields_named(name);
    let values = values.filter_map(|value| std::str::from_utf8(value).ok());
    let entries = values.flat_map(|value| value.split(',')).map(|entry| {
        let entry = entry.trim();
        let quoted = entry
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        quoted.unwrap_or(entry)
    });
    entries.filter(|entry| !entry.is_empty()).collect()
}

fn last_but<'a>(entries: &[&'a str], consumed: usize) -> Option<&'a str> {
    let at = entries.len().checked_sub(consumed + 1)?;
    entries.get(at).copied()
}

/// An address, with a port or without.
fn end(text: &str) -> Option<SocketAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare.unwrap_or(text).parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, 0)),
        Err(_) => text.parse().ok(),
    }
}

/// The schemes that a client of this front can have asked by; those of WebSockets are what some proxies
/// write.
fn is_https(scheme: &str) -> Option<bool> {
    let is = |known: &str| known.eq_ignore_ascii_case(scheme);
    match () {
        () if is("https") || is("wss") => Some(true),
        () if is("http") || is("ws") => Some(false),
        () => None,
    }
}

/// Whether a text can stand in `Host`: the parser that reads it says the rest.
fn is_host(text: &str) -> bool {
    let is_of_host =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(&byte);
    text.bytes().all(is_of_host)
}

/// Whether a text is the beginning of a path.
fn is_prefix(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_config::{ConfigurationTree, load};
    use ostler_delegation::control::ConnectionFacts;
    use ostler_http1::{HeadDecoder, Limits};

    fn options(json: &str) -> ForwardedHeadersConfig {
        let mut tree = ConfigurationTree::new();
        let text = format!(r#"{{ "ForwardedHeaders": {{ {json} }} }}"#);
        tree.add_json("a.json", &text).unwrap();
        let loaded = load(&tree);
        assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
        loaded.settings.ostler.forwarded_headers.unwrap()
    }

    fn head(fields: &str) -> RequestHead {
        let mut head = RequestHead::default();
        let text = format!("GET /a?b HTTP/1.1\nHost: front\n{fields}").replace('\n', "\r\n");
        HeadDecoder::new(Limits::default())
            .decode(format!("{text}\r\n\r\n").as_bytes(), &mut head)
            .unwrap();
        head
    }

    /// The client, scheme and prefix that are taken over of a connection from `peer`, and the head that is
    /// left.
    fn taken(options: &ForwardedHeadersConfig, peer: &str, fields: &str) -> Option<String> {
        let facts = ClientFacts::clear(ConnectionFacts {
            client: peer.parse().ok(),
            local: None,
            accepted_ns: 0,
        });
        let head = head(fields);
        let said = Said::read(options, &head);
        let (taken, consumed) = said.believe(options, &facts)?;
        let rest = said.rest(options, &facts, &head, &taken, consumed).unwrap();
        let rest = std::str::from_utf8(rest.raw()).unwrap();
        let (_, rest) = rest.trim_end().split_once("\r\n").unwrap();
        let client = taken
            .client
            .map_or("-".to_owned(), |client| client.to_string());
        let scheme = match taken.is_https {
            None => "-",
            Some(true) => "https",
            Some(false) => "http",
        };
        let prefix = taken.prefix.unwrap_or("-");
        Some(format!(
            "{client} {scheme} {prefix} | {}",
            rest.replace("\r\n", " | ")
        ))
    }

    #[test]
    fn what_is_believed_is_taken_over_from_the_last_entry_on() {
        let two = r#""ForwardedHeaders": "XForwardedFor, XForwardedProto""#;
        let all =
            r#""ForwardedHeaders": "All", "ForwardLimit": null, "KnownProxies": ["10.0.0.1"]"#;
        let (lo, lb) = ("127.0.0.1:4711", "10.0.0.1:80");
        for (json, peer, fields, expected) in [
            // As ASP.NET ran it.
            (
                two,
                lo,
                "X-Forwarded-For: 203.0.113.7, 198.51.100.2\nX-Forwarded-Proto: https",
                "198.51.100.2:0 https - | Host: front | x-forwarded-for: 203.0.113.7 | x-original-for: 127.0.0.1:4711 | \
              x-original-proto: http",
            ),
            (
                two,
                lo,
                "X-Forwarded-Proto: https, http",
                "- http - | Host: front | x-forwarded-proto: https | x-original-proto: http",
            ),
            (
                two,
                lo,
                "X-Forwarded-For: [2001:db8::7]:8080\nA: b",
                "[2001:db8::7]:8080 - - | Host: front | A: b | x-original-for: 127.0.0.1:4711",
            ),
            (
                two,
                "",
                "X-Forwarded-For: \"[2001:db8::7]\"",
                "[2001:db8::7]:0 - - | Host: front",
            ),
            // One field over several lines, in which an entry is empty.
            (
                two,
                lo,
                "X-Forwarded-For: 1.2.3.4\nX-Forwarded-For: , 5.6.7.8 ,",
                "5.6.7.8:0 - - | Host: front | x-forwarded-for: 1.2.3.4 | x-original-for: 127.0.0.1:4711",
            ),
            (
                all,
                lb,
                "X-Forwarded-For: 9.9.9.9, 10.0.0.1\nX-Forwarded-Host: a.example, b.example:81\n\
             X-Forwarded-Prefix: /base\nX-Forwarded-Proto: WSS",
                "9.9.9.9:0 https /base | x-original-for: 10.0.0.1:80 | x-original-proto: http | \
              x-original-host: front | host: a.example",
            ),
            // The chain ends at whom nobody knows.
            (
                all,
                lb,
                "X-Forwarded-For: 9.9.9.9, 8.8.8.8",
                "8.8.8.8:0 - - | Host: front | x-forwarded-for: 9.9.9.9 | x-original-for: 10.0.0.1:80",
            ),
        ] {
            let options = options(json);
            assert_eq!(
                taken(&options, peer, fields).as_deref(),
                Some(expected),
                "{fields}"
            );
        }
    }

    #[test]
    fn what_nobody_believes_stays_as_it_is() {
        let two = r#""ForwardedHeaders": "XForwardedFor, XForwardedProto""#;
        let host = r#""ForwardedHeaders": "XForwardedHost", "AllowedHosts": ["*.example"]"#;
        let equal = r#""ForwardedHeaders": "XForwardedFor, XForwardedProto", "RequireHeaderSymmetry": true"#;
        for (json, peer, fields) in [
            (
                two,
                "10.0.0.1:1",
                "X-Forwarded-For: 1.2.3.4\nX-Forwarded-Proto: https",
            ),
            (two, "[::2]:1", "X-Forwarded-Proto: https"),
            (
                two,
                "127.0.0.1:1",
                "X-Forwarded-For: unknown\nX-Forwarded-Proto: https",
            ),
            (two, "127.0.0.1:1", "X-Forwarded-Proto: ftp"),
            (
                two,
                "127.0.0.1:1",
                "X-Forwarded-Host: a.example\nX-Forwarded-Prefix: /x",
            ),
            (two, "127.0.0.1:1", "A: b"),
            (host, "127.0.0.1:1", "X-Forwarded-Host: evil.test"),
            (host, "127.0.0.1:1", "X-Forwarded-Host: a@b.example"),
            (
                equal,
                "127.0.0.1:1",
                "X-Forwarded-For: 1.2.3.4, 5.6.7.8\nX-Forwarded-Proto: https",
            ),
            (
                equal,
                "127.0.0.1:1",
                "X-Forwarded-For: 1.2.3.4\nX-Forwarded-Proto: ftp",
            ),
        ] {
            assert_eq!(
                taken(&options(json), peer, fields),
                None,
                "{json} {peer} {fields}"
            );
        }
    }

    #[test]
    fn a_method_with_a_target_of_its_own_form_keeps_it() {
        let options = options(r#""ForwardedHeaders": "All""#);
        let facts = ClientFacts::clear(ConnectionFacts {
            client: "127.0.0.1:1".parse().ok(),
            local: None,
            accepted_ns: 0,
        });
        for (line, made) in [
            ("GET http://front/a?b HTTP/1.1", "GET /a?b HTTP/1.1"),
            ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"),
        ] {
            let mut head = RequestHead::default();
            let text = format!("{line}\r\nHost: front\r\nX-Forwarded-Host: h\r\n\r\n");
            HeadDecoder::new(Limits::default())
                .decode(text.as_bytes(), &mut head)
                .unwrap();
            let said = Said::read(&options, &head);
            let (taken, consumed) = said.believe(&options, &facts).unwrap();
            let rest = said
                .rest(&options, &facts, &head, &taken, consumed)
                .unwrap();
            assert!(rest.raw().starts_with(made.as_bytes()), "{line}");
            assert_eq!(rest.authority(), "h");
        }
    }
}
