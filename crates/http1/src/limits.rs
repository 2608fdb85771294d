//! Bounds of a request's head.

/// Limits on a request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line in bytes, its line end included: 8 KiB. Beyond it: 414.
    pub request_line: usize,
    /// Most bytes of field lines, their ends included; neither the request line nor the empty line
    /// behind them counts: 32 KiB. Beyond it: 431.
    pub field_lines: usize,
    /// Most field lines: 100. Beyond it: 431.
    pub fields: usize,
}

impl Limits {
    /// Neither the request line nor the field lines are longer, whatever the limits say.
    pub const MOST: usize = 1024 * 1024;
    /// No head is longer.
    pub const MAX_HEAD: usize = 2 * Self::MOST + 2;

    /// The limits, none of them beyond what can be represented.
    #[must_use]
    pub fn validated(self) -> Self {
        Self {
            request_line: self.request_line.min(Self::MOST),
            field_lines: self.field_lines.min(Self::MOST),
            fields: self.fields.min(Self::MOST / 4),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: 8 * 1024,
            field_lines: 32 * 1024,
            fields: 100,
        }
    }
}
