//! What somebody meant who wrote a word that nobody knows.

/// The known word that differs least, without case, if it differs little.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // Nothing that long is near a word of ours, and the distance costs its square.
    const LONGEST: usize = 64;
    if word.chars().count() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    known
        .iter()
        .map(|known| (distance(&word, &known.to_lowercase()), *known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min()
        .map(|(_, known)| known)
}

/// The remedy for an unknown word: the nearest known one, else all of them.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known are {}", known.join(", ")),
    }
}

/// Levenshtein's: how many characters to insert, delete or replace.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, from) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        let known = ["ClusterId", "Match", "Order"];
        assert_eq!(nearest("clusterID", &known), Some("ClusterId"));
        assert_eq!(nearest("Machh", &known), Some("Match"));
        assert_eq!(nearest("Transforms", &known), None);
        assert_eq!(nearest(&"Match".repeat(10_000), &known), None);
        assert_eq!(suggestion("x", &known), "known are ClusterId, Match, Order");
    }

    #[test]
    fn distances() {
        for (from, to, wanted) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ä", "a", 1),
        ] {
            assert_eq!(distance(from, to), wanted, "{from} {to}");
        }
    }
}
