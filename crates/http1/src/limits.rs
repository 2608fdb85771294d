//! Bounds of a request's head.

/// Limits on a request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line in bytes, its line end included: 8 KiB. Beyond it: 414.
    pub request_line: usize,
    /// Longest head in bytes, at most [`MAX_HEAD`](Self::MAX_HEAD): 32 KiB. Beyond it: 431.
    pub head: usize,
    /// Most field lines: 100. Beyond it: 431.
    pub fields: usize,
}

impl Limits {
    /// No head is longer, whatever the limits say: offsets into it have 16 bits.
    pub const MAX_HEAD: usize = 65_535;

    /// The limits, none of them beyond what can be represented.
    #[must_use]
    pub fn validated(self) -> Self {
        Self {
            request_line: self.request_line.min(Self::MAX_HEAD),
            head: self.head.min(Self::MAX_HEAD),
            fields: self.fields.min(Self::MAX_HEAD / 4),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: 8 * 1024,
            head: 32 * 1024,
            fields: 100,
        }
    }
}
