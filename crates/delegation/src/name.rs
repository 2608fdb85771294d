//! Names of request queues: 1 to 260 characters, compared without case, escaped for the file system.

use std::fmt;

use crate::error::QueueError;

/// A request queue's name (http.sys: `RequestQueueName`).
///
/// Names compare without case. The spelling first given is kept for messages.
#[derive(Debug, Clone)]
pub struct QueueName {
    given: Box<str>,
    folder: Box<str>,
}

impl QueueName {
    /// Longest name in characters, as in ASP.NET Core.
    pub const MAX_CHARACTERS: usize = 260;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`QueueError::InvalidName`] when it is empty or longer than 260 characters.
    pub fn new(name: &str) -> Result<Self, QueueError> {
        let invalid = |reason| QueueError::InvalidName {
            name: name.into(),
            reason,
        };
        let characters = name.chars().count();
        if characters == 0 {
            return Err(invalid("it is empty"));
        }
        if characters > Self::MAX_CHARACTERS {
            return Err(invalid("it is longer than 260 characters"));
        }
        Ok(Self {
            given: name.into(),
            folder: shortened(escape(&name.to_lowercase())).into(),
        })
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// The name of the queue's folder: lower case, with everything but `[a-z0-9._-]` as `%xx`, and
    /// shortened where no file could have the name.
    pub fn folder(&self) -> &str {
        &self.folder
    }
}

impl PartialEq for QueueName {
    fn eq(&self, other: &Self) -> bool {
        self.folder == other.folder
    }
}

impl Eq for QueueName {}

impl std::hash::Hash for QueueName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folder.hash(state);
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

/// A leading dot is escaped too, so that no name is `.`, `..` or hidden from `ls`.
fn escape(lower: &str) -> String {
    let mut folder = String::with_capacity(lower.len());
    for (at, byte) in lower.bytes().enumerate() {
        match byte {
            b'.' if at == 0 => folder.push_str("%2e"),
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => folder.push(char::from(byte)),
            _ => {
                use fmt::Write;
                write!(folder, "%{byte:02x}").expect("writing to a string cannot fail");
            }
        }
    }
    folder
}

/// Longest name of a file on Linux, in bytes (`NAME_MAX`).
const LONGEST_FOLDER: usize = 255;
/// What is kept of a longer one: with `%-` and 32 digits it is then as long as it may be.
const KEPT: usize = LONGEST_FOLDER - 2 - 32;

/// A folder's name that is too long is cut, and a hash of the whole put behind `%-`, which no escaped
/// name has in it.
fn shortened(folder: String) -> String {
    if folder.len() <= LONGEST_FOLDER {
        return folder;
    }
    // Escaped names are ASCII.
    format!("{}%-{:032x}", &folder[..KEPT], fnv_1a(folder.as_bytes()))
}

/// FNV-1a of 128 bits. Whoever may open a queue may give it any name, so that nobody gains by making two
/// names collide.
fn fnv_1a(bytes: &[u8]) -> u128 {
    const OFFSET_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_without_case() {
        assert_eq!(
            QueueName::new("Orders").unwrap(),
            QueueName::new("oRDERS").unwrap()
        );
        assert_ne!(
            QueueName::new("orders").unwrap(),
            QueueName::new("orders2").unwrap()
        );
    }

    #[test]
    fn escapes_what_a_folder_name_may_not_hold() {
        let folder = |name: &str| QueueName::new(name).unwrap().folder().to_owned();
        assert_eq!(folder("TargetHttpSysQueueName"), "targethttpsysqueuename");
        assert_eq!(folder("a/b c"), "a%2fb%20c");
        assert_eq!(folder(".."), "%2e.");
        assert_eq!(folder("%41"), "%2541");
        assert_eq!(folder("Ä"), "%c3%a4");
    }

    #[test]
    fn refuses_empty_and_overlong_names() {
        assert!(QueueName::new("").is_err());
        assert!(QueueName::new(&"q".repeat(261)).is_err());
    }

    #[test]
    fn a_name_of_any_allowed_length_has_a_folder_of_its_own() {
        let folder = |name: &str| QueueName::new(name).unwrap().folder().to_owned();
        assert_eq!(folder(&"q".repeat(255)), "q".repeat(255));
        for name in ["q".repeat(256), "q".repeat(260), "\u{fc}".repeat(260)] {
            let folder = folder(&name);
            assert_eq!(folder.len(), 255, "{folder}");
            assert_eq!(&folder[221..223], "%-", "{folder}");
        }
        let (left, right) = (
            folder(&("q".repeat(259) + "a")),
            folder(&("q".repeat(259) + "b")),
        );
        assert_ne!(left, right);
        assert_eq!(folder(&"Q".repeat(260)), folder(&"q".repeat(260)));
        // The vectors of the algorithm's authors.
        assert_eq!(fnv_1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv_1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
