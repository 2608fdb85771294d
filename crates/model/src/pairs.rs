//! Which items of a list are those of the list before: found by where they are in memory, so that nobody
//! looks into them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How far ahead is looked where two lists part.
const AHEAD: usize = 32;

/// How a list came of the one before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pairs {
    /// Of each item where it stood before; `None` is one that is new, or another one of its id.
    pub(crate) before: Vec<Option<u32>>,
    /// Those of the list before that are not there any more, by their places in it.
    pub(crate) gone: Vec<u32>,
}

impl Pairs {
    /// Walks through both lists side by side.
    pub(crate) fn of<T>(before: &[Arc<T>], now: &[Arc<T>]) -> Self {
        let mut pairs = Self {
            before: vec![None; now.len()],
            gone: Vec::new(),
        };
        let (mut from, mut to) = (0, 0);
        while from < before.len() && to < now.len() {
            if Arc::ptr_eq(&before[from], &now[to]) {
                pairs.before[to] = Some(from as u32);
                (from, to) = (from + 1, to + 1);
                continue;
            }
            let (gone, new) = parting(&before[from..], &now[to..]);
            pairs.gone.extend((from..from + gone).map(|at| at as u32));
            (from, to) = (from + gone, to + new);
        }
        pairs.gone.extend((from..before.len()).map(|at| at as u32));
        pairs.find_moved(before, now);
        pairs
    }

    /// Whether both lists are the same.
    pub(crate) fn are_same(&self) -> bool {
        self.gone.is_empty() && self.before.iter().all(Option::is_some)
    }

    /// Items that are new, by their places.
    pub(crate) fn places_of_new(&self) -> impl Iterator<Item = usize> {
        let places = self.before.iter().enumerate();
        places.filter_map(|(at, before)| before.is_none().then_some(at))
    }

    /// What went from one place and came to another.
    fn find_moved<T>(&mut self, before: &[Arc<T>], now: &[Arc<T>]) {
        let mut gone: HashMap<_, u32> = self
            .gone
            .iter()
            .map(|&at| (Arc::as_ptr(&before[at as usize]), at))
            .collect();
        for (item, place) in now.iter().zip(&mut self.before) {
            if place.is_none() && !gone.is_empty() {
                *place = gone.remove(&Arc::as_ptr(item));
            }
        }
        let left: HashSet<u32> = gone.into_values().collect();
        self.gone.retain(|at| left.contains(at));
    }
}

/// How many items are gone and how many are new until both lists go on alike.
fn parting<T>(before: &[Arc<T>], now: &[Arc<T>]) -> (usize, usize) {
    let is_same = |from: usize, to: usize| match (before.get(from), now.get(to)) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        _ => false,
    };
    let ahead = (1..=AHEAD).flat_map(|far| (0..=far).map(move |near| (far, near)));
    let mut meetings = ahead.flat_map(|(far, near)| [(far, near), (near, far)]);
    meetings
        .find(|&(from, to)| is_same(from, to))
        .unwrap_or((1, 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(before: &[usize], now: &[usize]) -> (Vec<Option<u32>>, Vec<u32>) {
        let items: Vec<Arc<usize>> = (0..100).map(Arc::new).collect();
        let list = |of: &[usize]| -> Vec<Arc<usize>> {
            of.iter().map(|&at| Arc::clone(&items[at])).collect()
        };
        let pairs = Pairs::of(&list(before), &list(now));
        (pairs.before, pairs.gone)
    }

    #[test]
    fn what_stays_is_found_whatever_stands_between() {
        assert_eq!(pairs(&[], &[]), (vec![], vec![]));
        assert_eq!(pairs(&[1, 2], &[1, 2]), (vec![Some(0), Some(1)], vec![]));
        assert_eq!(
            pairs(&[1, 2, 3], &[1, 3]),
            (vec![Some(0), Some(2)], vec![1])
        );
        assert_eq!(
            pairs(&[1, 3], &[1, 2, 3]),
            (vec![Some(0), None, Some(1)], vec![])
        );
        assert_eq!(
            pairs(&[1, 2, 3], &[1, 4, 3]),
            (vec![Some(0), None, Some(2)], vec![1])
        );
        assert_eq!(
            pairs(&[1, 2, 3], &[3, 1, 2]),
            (vec![Some(2), Some(0), Some(1)], vec![])
        );
    }

    proptest! {
        #[test]
        fn each_item_is_paired_with_itself_alone(
            before in prop::sample::subsequence((0..100).collect::<Vec<usize>>(), 0..100).prop_shuffle(),
            now in prop::sample::subsequence((0..100).collect::<Vec<usize>>(), 0..100).prop_shuffle(),
        ) {
            let (pairs, gone) = pairs(&before, &now);
            for (item, place) in now.iter().zip(&pairs) {
                let stood = before.iter().position(|before| before == item);
                prop_assert_eq!(place.map(|at| at as usize), stood);
            }
            let left: Vec<_> = (0..before.len() as u32)
                .filter(|at| !now.contains(&before[*at as usize]))
                .collect();
            prop_assert_eq!(gone, left);
        }
    }
}
