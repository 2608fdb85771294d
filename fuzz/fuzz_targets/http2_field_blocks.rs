//! Field blocks of HTTP/2, compressed, as a peer sends them (RFC 7541): none of them panics.
#![no_main]

use h2::fuzz_bridge::fuzz_logic::fuzz_hpack;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzz_hpack(input));
