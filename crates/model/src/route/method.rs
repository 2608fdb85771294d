//! Sets of the methods a route may list (rule R10 of the reference).

/// The methods, sorted: the order of an `Allow` field.
const METHODS: [&str; 8] = [
    "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

/// A set of methods, one bit each in the order of [`METHODS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MethodSet(u8);

impl MethodSet {
    /// The set of this one method, compared without case (reference A3.1, step 2); empty when a
    /// route cannot list it. GET does not bring HEAD with it.
    pub(crate) fn of(method: &str) -> Self {
        let at = METHODS
            .iter()
            .position(|known| known.eq_ignore_ascii_case(method));
        Self(at.map_or(0, |at| 1 << at))
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The value of an `Allow` field.
    pub(crate) fn allow(self) -> String {
        let listed = METHODS
            .iter()
            .enumerate()
            .filter(|(at, _)| self.0 & 1 << at != 0);
        listed
            .map(|(_, method)| *method)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_compare_without_case_and_allow_is_sorted() {
        let set = MethodSet::of("put")
            .union(MethodSet::of("GET"))
            .union(MethodSet::of("Delete"));
        assert_eq!(set.allow(), "DELETE, GET, PUT");
        assert!(set.intersects(MethodSet::of("get")));
        assert!(!set.intersects(MethodSet::of("HEAD")));
    }

    #[test]
    fn methods_a_route_cannot_list_are_in_no_set() {
        assert!(MethodSet::of("CONNECT").is_empty());
        assert!(MethodSet::of("PURGE").is_empty());
        assert!(MethodSet::of("").is_empty());
    }
}
