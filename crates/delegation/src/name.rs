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
    /// [`QueueError::InvalidName`] when it is empty, longer than 260 characters, or so long once
    /// escaped that no file can have the name.
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
        let folder = escape(&name.to_lowercase());
        if folder.len() > 255 {
            return Err(invalid(
                "its escaped form is longer than a file name may be (255 bytes)",
            ));
        }
        Ok(Self {
            given: name.into(),
            folder: folder.into(),
        })
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// The name of the queue's folder: lower case, with everything but `[a-z0-9._-]` as `%xx`.
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
        assert!(QueueName::new(&"q".repeat(255)).is_ok());
        assert!(QueueName::new(&"ü".repeat(200)).is_err());
    }
}
