//! URL prefixes, which a target sends as text: a normalised one stays as it is, and finding one never
//! fails, whatever the URL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_delegation::UrlPrefix;
use ostler_delegation::url_prefix::{PrefixUrl, find};

fuzz_target!(|input: &str| {
    let mut lines = input.lines();
    let (host, path) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let mut prefixes = Vec::new();
    for line in lines {
        let Ok(prefix) = UrlPrefix::parse(line) else {
            continue;
        };
        assert!(prefix.path().starts_with('/') && prefix.path().ends_with('/'));
        assert_eq!(
            UrlPrefix::parse(prefix.as_str()).ok().as_ref(),
            Some(&prefix)
        );
        let own = PrefixUrl {
            https: prefix.is_https(),
            host,
            port: prefix.port(),
            local: None,
            path,
        };
        let found = find(std::slice::from_ref(&prefix), &own);
        assert!(found.is_none_or(|found| *found == prefix));
        prefixes.push(prefix);
    }
    for port in prefixes.iter().map(UrlPrefix::port) {
        let url = PrefixUrl {
            https: false,
            host,
            port,
            local: Some([127, 0, 0, 1].into()),
            path,
        };
        assert!(find(&prefixes, &url).is_none_or(|found| found.port() == port));
    }
});
