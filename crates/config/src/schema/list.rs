//! Lists whose items are shared: by a configuration, by the one that comes after it, and by whoever works
//! with either.

use std::collections::HashMap;
use std::ops::{Deref, Index, IndexMut};
use std::sync::Arc;

/// Items in order. A clone is the same list; what is changed in one is no change of the other, and items
/// that both have stay the same ones, by which a large list that has changed a little is known
/// ([`Arc::ptr_eq`]).
#[derive(Debug)]
pub struct List<T>(Arc<Vec<Arc<T>>>);

impl<T> List<T> {
    /// Whether these are the very same list.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The same items, those of an earlier list where one of the same id is equal; that list itself, if all
    /// are.
    pub(super) fn sharing(self, earlier: &Self, id: impl Fn(&T) -> &str) -> Self
    where
        T: PartialEq,
    {
        let by_id: HashMap<&str, &Arc<T>> = earlier.iter().map(|it| (id(it), it)).collect();
        let shared = |item: &Arc<T>| match by_id.get(id(item)) {
            Some(before) if *before == item => Arc::clone(before),
            _ => Arc::clone(item),
        };
        let items: Vec<_> = self.iter().map(shared).collect();
        let mut pairs = items.iter().zip(earlier.iter());
        match items.len() == earlier.len() && pairs.all(|(left, right)| Arc::ptr_eq(left, right)) {
            true => earlier.clone(),
            false => items.into(),
        }
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: impl Into<Arc<T>>) {
        Arc::make_mut(&mut self.0).push(item.into());
    }

    /// Takes the last item.
    pub fn pop(&mut self) -> Option<Arc<T>> {
        Arc::make_mut(&mut self.0).pop()
    }

    /// Takes an item out.
    ///
    /// # Panics
    ///
    /// When there is none at this place.
    pub fn remove(&mut self, at: usize) -> Arc<T> {
        Arc::make_mut(&mut self.0).remove(at)
    }

    /// Puts an item before the one at this place, or at the end.
    ///
    /// # Panics
    ///
    /// When the place is beyond the end.
    pub fn insert(&mut self, at: usize, item: impl Into<Arc<T>>) {
        Arc::make_mut(&mut self.0).insert(at, item.into());
    }

    /// Keeps the first items alone.
    pub fn truncate(&mut self, count: usize) {
        Arc::make_mut(&mut self.0).truncate(count);
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(left, right): (&Arc<T>, &Arc<T>)| Arc::ptr_eq(left, right) || left == right;
        self.is(other) || (self.len() == other.len() && self.iter().zip(other.iter()).all(same))
    }
}

impl<T> Deref for List<T> {
    type Target = [Arc<T>];

    fn deref(&self) -> &[Arc<T>] {
        &self.0
    }
}

impl<T> Index<usize> for List<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        &self.0[at]
    }
}

impl<T: Clone> IndexMut<usize> for List<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        Arc::make_mut(&mut Arc::make_mut(&mut self.0)[at])
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T> From<Vec<Arc<T>>> for List<T> {
    fn from(items: Vec<Arc<T>>) -> Self {
        Self(Arc::new(items))
    }
}

impl<T, const N: usize> From<[T; N]> for List<T> {
    fn from(items: [T; N]) -> Self {
        items.into_iter().collect()
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        items.into_iter().map(Arc::new).collect()
    }
}

impl<T> FromIterator<Arc<T>> for List<T> {
    fn from_iter<I: IntoIterator<Item = Arc<T>>>(items: I) -> Self {
        Self(Arc::new(items.into_iter().collect()))
    }
}

impl<'l, T> IntoIterator for &'l List<T> {
    type Item = &'l Arc<T>;
    type IntoIter = std::slice::Iter<'l, Arc<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_items_of_an_earlier_list_are_taken_and_others_are_not() {
        let list =
            |items: &[&str]| List::from(items.iter().map(|&it| it.to_owned()).collect::<Vec<_>>());
        let earlier = list(&["a1", "b1", "c1"]);
        let id: fn(&String) -> &str = |item| &item[..1];
        let now = list(&["a1", "b2", "d1"]).sharing(&earlier, id);
        assert_eq!(now, list(&["a1", "b2", "d1"]));
        assert!(Arc::ptr_eq(&now.0[0], &earlier.0[0]));
        assert!(list(&["a1", "b1", "c1"]).sharing(&earlier, id).is(&earlier));
    }

    #[test]
    fn a_change_of_one_list_is_none_of_another_and_shares_the_rest() {
        let before = List::from(vec!["a".to_owned(), "b".to_owned()]);
        let mut after = before.clone();
        assert!(after.is(&before));
        after[1].push('!');
        assert_eq!((before[1].as_str(), after[1].as_str()), ("b", "b!"));
        assert!(Arc::ptr_eq(&before.0[0], &after.0[0]));
        assert!(!after.is(&before));
        assert_ne!(before, after);
        after.pop();
        after.push("b".to_owned());
        assert_eq!(before, after);
    }
}
