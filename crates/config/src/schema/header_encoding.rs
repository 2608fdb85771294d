//! Encodings of field values towards destinations.

/// An encoding that bytes of field values can have (reference B19). Those in which a plain
/// letter takes more than a byte cannot stand in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderEncoding {
    /// UTF-8.
    Utf8,
    /// ISO 8859-1.
    Latin1,
    /// US-ASCII.
    Ascii,
}

impl HeaderEncoding {
    /// The name that it goes by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Latin1 => "iso-8859-1",
            Self::Ascii => "us-ascii",
        }
    }
}
