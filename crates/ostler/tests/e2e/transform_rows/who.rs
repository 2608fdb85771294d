//! Fields that say who the client is: `X-Forwarded-*` and `Forwarded`.

use super::{DEFAULTS, check, check_on, unordered};

/// What a client may say of who it is.
const SPOOFED: &str = "X-Forwarded-For: 192.0.2.1\nX-Forwarded-Prefix: /spoofed\n\
    X-Forwarded-Host: spoofed\nX-Forwarded-Proto: ftp\nForwarded: for=192.0.2.1\n";

#[test]
fn x_forwarded() {
    // Reference B3.6.
    let mut rows = Vec::new();
    for (transforms, own, sent) in [
        ("X-Forwarded: Set", "", DEFAULTS),
        ("X-Forwarded: Set", SPOOFED, DEFAULTS),
        ("X-Forwarded: 1", SPOOFED, DEFAULTS),
        ("X-Forwarded: 3", SPOOFED, ""),
        (
            "X-Forwarded: 0 | Proto: 2",
            "X-Forwarded-Proto: a\nX-Forwarded-For: b\n",
            "x-forwarded-for: b\nx-forwarded-proto: a, http\n",
        ),
        ("X-Forwarded: Append", "", DEFAULTS),
        (
            "X-Forwarded: Append",
            SPOOFED,
            "x-forwarded-for: 192.0.2.1, 127.0.0.1\nx-forwarded-host: spoofed, HOST\nx-forwarded-prefix: /spoofed\nx-forwarded-proto: ftp, http\n",
        ),
        ("X-Forwarded: Remove", SPOOFED, ""),
        (
            "X-Forwarded: Off",
            SPOOFED,
            "forwarded: for=192.0.2.1\nx-forwarded-for: 192.0.2.1\nx-forwarded-host: spoofed\nx-forwarded-prefix: /spoofed\nx-forwarded-proto: ftp\n",
        ),
        (
            "X-Forwarded: Off | For: Set",
            SPOOFED,
            "x-forwarded-for: 127.0.0.1\nx-forwarded-host: spoofed\nx-forwarded-prefix: /spoofed\nx-forwarded-proto: ftp\n",
        ),
        (
            "X-Forwarded: Off | Prefix: Set",
            SPOOFED,
            "x-forwarded-for: 192.0.2.1\nx-forwarded-host: spoofed\nx-forwarded-proto: ftp\n",
        ),
        (
            "X-Forwarded: Off | Host: Append",
            SPOOFED,
            "x-forwarded-for: 192.0.2.1\nx-forwarded-host: spoofed, HOST\nx-forwarded-prefix: /spoofed\nx-forwarded-proto: ftp\n",
        ),
        (
            "X-Forwarded: Off | Proto: Remove",
            SPOOFED,
            "x-forwarded-for: 192.0.2.1\nx-forwarded-host: spoofed\nx-forwarded-prefix: /spoofed\n",
        ),
        (
            "X-Forwarded: Set | For: Off | Prefix: Append | Host: Remove | Proto: Set",
            SPOOFED,
            "x-forwarded-for: 192.0.2.1\nx-forwarded-prefix: /spoofed\nx-forwarded-proto: http\n",
        ),
        (
            "X-Forwarded: Set | HeaderPrefix: X-",
            "",
            "x-for: 127.0.0.1\nx-host: HOST\nx-proto: http\n",
        ),
        (
            "X-Forwarded: Append | HeaderPrefix: X-",
            "X-For: a\nX-Forwarded-For: b\n",
            "x-for: a, 127.0.0.1\nx-forwarded-for: b\nx-host: HOST\nx-proto: http\n",
        ),
        (
            "RequestHeadersCopy: false + X-Forwarded: Append",
            SPOOFED,
            "x-forwarded-for: 192.0.2.1, 127.0.0.1\nx-forwarded-host: spoofed, HOST\nx-forwarded-prefix: /spoofed\nx-forwarded-proto: ftp, http\n",
        ),
        ("", SPOOFED, DEFAULTS),
    ] {
        rows.push(unordered(transforms, own, sent));
    }
    check(rows);
    // IPv6 without brackets.
    let sent = DEFAULTS.replace("127.0.0.1", "::1");
    check_on("[::1]", vec![unordered("X-Forwarded: Set", "", &sent)]);
}

#[test]
fn forwarded() {
    // Reference B3.7.
    let quiet = "forwarded: for=192.0.2.1\n";
    let mut rows = Vec::new();
    for (transforms, sent) in [
        ("Forwarded: proto", "proto=http"),
        ("Forwarded: host", "host=\"HOST\""),
        ("Forwarded: for", "for=_RANDOM"),
        ("Forwarded: by", "by=_RANDOM"),
        (
            "Forwarded: BY,For host,PROTO",
            "proto=http;host=\"HOST\";for=_RANDOM;by=_RANDOM",
        ),
        ("Forwarded: for | ForFormat: Random", "for=_RANDOM"),
        (
            "Forwarded: for | ForFormat: RandomAndPort",
            "for=\"_RANDOM:CLIENT\"",
        ),
        (
            "Forwarded: for | ForFormat: RandomAndRandomPort",
            "for=\"_RANDOM:_RANDOM\"",
        ),
        ("Forwarded: for | ForFormat: Unknown", "for=unknown"),
        (
            "Forwarded: for | ForFormat: UnknownAndPort",
            "for=\"unknown:CLIENT\"",
        ),
        (
            "Forwarded: for | ForFormat: UnknownAndRandomPort",
            "for=\"unknown:_RANDOM\"",
        ),
        ("Forwarded: for | ForFormat: Ip", "for=127.0.0.1"),
        (
            "Forwarded: for | ForFormat: ipandport",
            "for=\"127.0.0.1:CLIENT\"",
        ),
        (
            "Forwarded: for | ForFormat: IpAndRandomPort",
            "for=\"127.0.0.1:_RANDOM\"",
        ),
        ("Forwarded: for proto | ForFormat: None", "proto=http"),
        ("Forwarded: by | ByFormat: Random", "by=_RANDOM"),
        (
            "Forwarded: by | ByFormat: RandomAndPort",
            "by=\"_RANDOM:FRONT\"",
        ),
        (
            "Forwarded: by | ByFormat: RandomAndRandomPort",
            "by=\"_RANDOM:_RANDOM\"",
        ),
        ("Forwarded: by | ByFormat: Unknown", "by=unknown"),
        (
            "Forwarded: by | ByFormat: UnknownAndPort",
            "by=\"unknown:FRONT\"",
        ),
        (
            "Forwarded: by | ByFormat: UnknownAndRandomPort",
            "by=\"unknown:_RANDOM\"",
        ),
        ("Forwarded: by | ByFormat: Ip", "by=127.0.0.1"),
        (
            "Forwarded: by | ByFormat: IpAndPort",
            "by=\"127.0.0.1:FRONT\"",
        ),
        (
            "Forwarded: by | ByFormat: IpAndRandomPort",
            "by=\"127.0.0.1:_RANDOM\"",
        ),
        ("Forwarded: by host | ByFormat: None", "host=\"HOST\""),
        (
            "Forwarded: for by | ForFormat: Ip | ByFormat: Unknown",
            "for=127.0.0.1;by=unknown",
        ),
        ("Forwarded: proto | Action: Set", "proto=http"),
        (
            "Forwarded: proto | Action: Append",
            "for=192.0.2.1, proto=http",
        ),
    ] {
        // The X-Forwarded fields are removed.
        rows.push(unordered(
            transforms,
            SPOOFED,
            &format!("forwarded: {sent}\n"),
        ));
    }
    rows.push(unordered(
        "Forwarded: proto | Action: Append",
        "",
        "forwarded: proto=http\n",
    ));
    rows.push(unordered("Forwarded: proto | Action: Remove", SPOOFED, ""));
    // Off, or an empty list: nothing is touched, and the defaults are off.
    let untouched = "forwarded: for=192.0.2.1\nx-forwarded-for: 192.0.2.1\nx-forwarded-host: spoofed\nx-forwarded-prefix: /spoofed\nx-forwarded-proto: ftp\n";
    rows.push(unordered(
        "Forwarded: proto | Action: Off",
        SPOOFED,
        untouched,
    ));
    rows.push(unordered("Forwarded: ", SPOOFED, untouched));
    rows.push(unordered(
        "Forwarded:  | Action: Remove",
        SPOOFED,
        untouched,
    ));
    // Both families: the one that comes last has its way.
    rows.push(unordered(
        "X-Forwarded: Set + Forwarded: proto",
        SPOOFED,
        "forwarded: proto=http\n",
    ));
    rows.push(unordered(
        "Forwarded: proto + X-Forwarded: Set",
        SPOOFED,
        DEFAULTS,
    ));
    rows.push(unordered(
        "X-Forwarded: Off + RequestHeaderRemove: X-Forwarded-For",
        quiet,
        quiet,
    ));
    check(rows);

    let mut rows = Vec::new();
    for (format, sent) in [
        ("Ip", "\"[::1]\""),
        ("IpAndPort", "\"[::1]:CLIENT\""),
        ("IpAndRandomPort", "\"[::1]:_RANDOM\""),
        ("Unknown", "unknown"),
        ("Random", "_RANDOM"),
    ] {
        let transforms = format!("Forwarded: for | ForFormat: {format}");
        rows.push(unordered(
            &transforms,
            "",
            &format!("forwarded: for={sent}\n"),
        ));
    }
    check_on("[::1]", rows);
}
