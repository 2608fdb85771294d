//! Delegation rules: which queue, by which of its URL prefixes, and whether it can be used.
//!
//! YARP's bookkeeping (reference `yarp-config-and-pipeline.md` section 8): one rule a (queue, prefix)
//! pair, made on demand; a queue that is not there is tried again with each request; any other
//! failure stays until the queue changes or the rule is reset.

use crate::error::QueueError;
use crate::name::QueueName;
use crate::url_prefix::UrlPrefix;

/// Names where requests go: a queue and one of the URL prefixes registered on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DelegationRule {
    queue: QueueName,
    url_prefix: UrlPrefix,
}

impl DelegationRule {
    /// A rule for this queue and prefix, which need not exist yet.
    ///
    /// # Errors
    ///
    /// When the name is no queue name or the prefix no URL prefix.
    pub fn new(queue: &str, url_prefix: &str) -> Result<Self, QueueError> {
        Ok(Self {
            queue: QueueName::new(queue)?,
            url_prefix: UrlPrefix::parse(url_prefix)?,
        })
    }

    /// The queue.
    pub fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// The prefix.
    pub fn url_prefix(&self) -> &UrlPrefix {
        &self.url_prefix
    }

    /// Whether an instance that registered `registered` serves this rule.
    ///
    /// # Errors
    ///
    /// [`RuleError::PrefixNotRegistered`], with what is registered.
    pub fn check_prefixes(&self, registered: &[String]) -> Result<(), RuleError> {
        if registered
            .iter()
            .any(|prefix| prefix == self.url_prefix.as_str())
        {
            return Ok(());
        }
        Err(RuleError::PrefixNotRegistered {
            queue: self.queue.to_string(),
            url_prefix: self.url_prefix.to_string(),
            registered: match registered {
                [] => "none".to_owned(),
                some => some.join(", "),
            },
        })
    }
}

/// Why a rule cannot be used now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// No queue has the name (http.sys: `ERROR_FILE_NOT_FOUND`, 2). Tried again with each request.
    #[error("queue {0} does not exist")]
    QueueNotFound(String),
    /// The prefix is not one the queue's instances registered (`ERROR_INVALID_PARAMETER`, 87).
    #[error(
        "url prefix {url_prefix} is not registered on queue {queue} (registered: {registered})"
    )]
    PrefixNotRegistered {
        /// The queue.
        queue: String,
        /// The prefix of the rule.
        url_prefix: String,
        /// What is registered.
        registered: String,
    },
    /// The queue's permissions refuse the front, or what stands in its folder is not used
    /// (`ERROR_ACCESS_DENIED`, 5). Tried again with each request.
    #[error("queue {queue} cannot be used: {reason}")]
    AccessDenied {
        /// The queue.
        queue: String,
        /// Who refuses whom.
        reason: String,
    },
}

impl RuleError {
    /// Whether the next request tries again without the queue having changed.
    pub fn is_retried(&self) -> bool {
        !matches!(self, Self::PrefixNotRegistered { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_compare_without_case() {
        let rule = |queue, prefix| DelegationRule::new(queue, prefix).unwrap();
        assert_eq!(rule("Q", "http://*:80/"), rule("q", "HTTP://*/"));
        assert_ne!(rule("q", "http://*:80/"), rule("q", "http://*:81/"));
        assert!(DelegationRule::new("", "http://*:80/").is_err());
        assert!(DelegationRule::new("q", "*:80").is_err());
    }

    #[test]
    fn an_unregistered_prefix_is_named_with_those_that_are() {
        let rule = DelegationRule::new("q", "http://*:80/a/").unwrap();
        let registered = ["http://*:80/a/".to_owned()];
        assert_eq!(rule.check_prefixes(&registered), Ok(()));
        let error = rule
            .check_prefixes(&["http://*:80/".to_owned()])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "url prefix http://*:80/a/ is not registered on queue q (registered: http://*:80/)"
        );
        assert!(!error.is_retried());
        assert!(RuleError::QueueNotFound("q".into()).is_retried());
    }
}
