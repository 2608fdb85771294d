//! What `docs/delegation-protocol.md` draws, compared with what is written.

/// Panics unless the page shows these bytes.
pub(crate) fn shows(what: &str, bytes: &[u8]) {
    let page = include_str!("../../../docs/delegation-protocol.md");
    let hex = |bytes: &[u8]| {
        let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes.join(" ")
    };
    let lines: Vec<_> = bytes.chunks(16).map(hex).collect();
    let drawn = lines.join("\n");
    assert!(
        page.contains(&format!("\n{drawn}\n")),
        "{what} is drawn otherwise:\n{drawn}"
    );
}
