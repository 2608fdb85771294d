//! What `docs/architecture.md` says is deliberately absent, where that can be seen in the code. Who has a reason to
//! add to one of these lists changes the page, too.

use std::collections::BTreeSet;

use crate::repository::{files, pattern, root, shown, text};

/// Where the code of these crates, its tests apart, says something: paths from `crates/`.
fn places(crates: &[&str], said: &str) -> BTreeSet<String> {
    let said = pattern(said);
    let mut places = BTreeSet::new();
    for name in crates {
        for file in files(&root().join("crates").join(name).join("src"), "rs") {
            let path = shown(&file);
            if path.contains("/tests") || path.ends_with("_tests.rs") || path.contains("/testing") {
                continue;
            }
            let code = text(&file);
            let code = code
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default();
            let mut lines = code.lines().map(str::trim_start);
            if lines.any(|line| !line.starts_with("//") && said.is_match(line)) {
                places.insert(path.trim_start_matches("crates/").to_owned());
            }
        }
    }
    places
}

#[track_caller]
fn stands_only_in(crates: &[&str], said: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|&place| place.to_owned()).collect();
    assert_eq!(places(crates, said), expected, "{said}");
}

#[test]
fn what_decides_has_neither_sockets_nor_files() {
    let outside =
        r"\b(?:Tcp|Udp|Unix)(?:Stream|Listener|Socket)\b|\brustix::|\bstd::(?:fs|os)::|\btokio::";
    stands_only_in(&["http1", "config", "model"], outside, &[]);
}

#[test]
fn the_data_path_opens_no_other_files() {
    stands_only_in(
        &["proxy"],
        r"\b(?:std|tokio|rustix)::fs\b|\bFile::|load_native_certs",
        &[
            "proxy/src/destinations/tls.rs",
            "proxy/src/endpoint/unix.rs",
            "proxy/src/static_files/mod.rs",
        ],
    );
}

#[test]
fn the_front_has_no_other_locks() {
    stands_only_in(
        &["proxy"],
        r"\b(?:Mutex|RwLock|Condvar)<",
        &[
            // Several requests that would open an HTTP/2 connection.
            "proxy/src/destinations/pool.rs",
            // MaxConnectionsPerServer.
            "proxy/src/destinations/connection_limit.rs",
            // MaxConnectionsPerAddress.
            "proxy/src/connection_counts.rs",
            // A queue that is about to be full, has no instance, or one that stands still.
            "proxy/src/queues/instance.rs",
            "proxy/src/queues/registry.rs",
            // Queues that are to be reset.
            "proxy/src/shared.rs",
            // Beside exchanges: where the front listens, and whether its threads still turn.
            "proxy/src/front.rs",
            "proxy/src/heartbeats.rs",
            // A kind of exchange that is counted for the first time, and whoever asks for metrics.
            "proxy/src/metrics/mod.rs",
            "proxy/src/metrics/queues.rs",
            "proxy/src/metrics/thread.rs",
        ],
    );
}

#[test]
fn flags_that_two_processes_share_are_left_alone() {
    stands_only_in(
        &["shm", "delegation", "proxy", "target-sdk"],
        r"TCP_CORK|set_tcp_cork|fcntl_setfl|ioctl_fionbio|set_nonblocking\(",
        // Their own ends of socket pairs, and listening sockets that come from elsewhere.
        &[
            "proxy/src/destinations/relay_connections.rs",
            "proxy/src/endpoint/inherited.rs",
            "target-sdk/src/relay.rs",
        ],
    );
}

#[test]
fn a_target_does_not_look_for_the_end_of_a_request_itself() {
    stands_only_in(
        &["target-sdk"],
        r"(?i)transfer.encoding|content.length",
        // Those of responses.
        &[
            "target-sdk/src/handler.rs",
            "target-sdk/src/response.rs",
            "target-sdk/src/send_file.rs",
            "target-sdk/src/stream/response.rs",
        ],
    );
}

#[test]
fn a_peers_memory_is_read_through_one_type() {
    let cast = r"from_raw_parts|\bmmap\(";
    stands_only_in(
        &["shm", "delegation"],
        cast,
        &[
            "shm/src/mapping.rs",
            // What a process writes into its own journal, as bytes; the peer's it reads as words.
            "shm/src/journal.rs",
        ],
    );
}
