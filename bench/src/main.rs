//! Measures direct, delegated, forwarded and other proxies side by side.
fn main() {}
