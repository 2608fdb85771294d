//! Whether a text is a date, a time or both to .NET's `DateTime.TryParse` with the invariant culture.
//!
//! That parser takes a great deal: numbers and names of months in many orders, separated by `/`, `-`,
//! blanks, commas or dots. A day is asked whether its month has it; a day of the week only whether it is
//! one, and whether the 29 February exists in a year that is not named is not asked. Suffixes and eras of
//! other calendars are left out.

use std::iter::Peekable;
use std::str::CharIndices;

/// Whether it is one.
pub(super) fn is_date_time(text: &str) -> bool {
    let Some(tokens) = tokens(text) else {
        return false;
    };
    let mut reader = Reader {
        rest: &tokens,
        date: Vec::new(),
        has_time: false,
    };
    reader.read().is_some()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    /// A number of one or two digits.
    Number(u32),
    /// A number of three to eight digits, which can only be a year.
    Year(u32),
    Month(u32),
    DayOfWeek,
    /// `AM` or `PM`; true is `PM`.
    Half(bool),
    /// `Z`, `GMT`.
    Zone,
    /// `T` between a date and a time.
    Mark,
    Slash,
    Hyphen,
    Plus,
    Colon,
    Dot,
    Comma,
    Blank,
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        tokens.push(match character {
            '/' => Token::Slash,
            '-' => Token::Hyphen,
            '+' => Token::Plus,
            ':' => Token::Colon,
            '.' => Token::Dot,
            ',' => Token::Comma,
            c if c.is_whitespace() => Token::Blank,
            '0'..='9' => number(
                run(text, at, &mut characters, |c| c.is_ascii_digit()),
                &tokens,
            )?,
            c if c.is_alphabetic() => word(run(text, at, &mut characters, char::is_alphabetic))?,
            _ => return None,
        });
    }
    Some(tokens)
}

/// The characters from `at` on that are of a kind.
fn run<'t>(
    text: &'t str,
    at: usize,
    characters: &mut Peekable<CharIndices<'t>>,
    is_meant: impl Fn(char) -> bool,
) -> &'t str {
    while characters
        .next_if(|(_, character)| is_meant(*character))
        .is_some()
    {}
    let end = characters.peek().map_or(text.len(), |(end, _)| *end);
    &text[at..end]
}

fn number(digits: &str, before: &[Token]) -> Option<Token> {
    // A fraction of a second has as many digits as it likes.
    let is_fraction = matches!(before, [.., Token::Colon, Token::Number(_), Token::Dot]);
    match digits.len() {
        1 | 2 => digits.parse().ok().map(Token::Number),
        3..=8 => digits.parse().ok().map(Token::Year),
        _ if is_fraction => Some(Token::Year(0)),
        _ => None,
    }
}

fn word(word: &str) -> Option<Token> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    const DAYS: [&str; 7] = [
        "sunday",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
    ];
    let lower = word.to_ascii_lowercase();
    let is_name = |name: &str| lower == name || lower == name[..3];
    if let Some(month) = MONTHS.iter().position(|name| is_name(name)) {
        return Some(Token::Month(month as u32 + 1));
    }
    if DAYS.iter().any(|name| is_name(name)) {
        return Some(Token::DayOfWeek);
    }
    match &*lower {
        "am" => Some(Token::Half(false)),
        "pm" => Some(Token::Half(true)),
        "z" | "gmt" => Some(Token::Zone),
        "t" => Some(Token::Mark),
        _ => None,
    }
}

/// Reads tokens from left to right: at most one date, at most one time, a zone behind the time.
struct Reader<'t> {
    rest: &'t [Token],
    /// Numbers, years and a month.
    date: Vec<Token>,
    has_time: bool,
}

impl Reader<'_> {
    fn read(&mut self) -> Option<()> {
        let mut has_zone = false;
        loop {
            self.skip(&[Token::Blank, Token::Comma, Token::Dot]);
            match *self.rest {
                [] => break,
                [Token::DayOfWeek, ..] => self.skip_one(),
                [Token::Number(_), Token::Colon, ..] => self.time()?,
                [Token::Number(hour), Token::Half(_), ..]
                | [Token::Number(hour), Token::Blank, Token::Half(_), ..]
                    if !self.has_time =>
                {
                    self.has_time = (hour <= 12).then_some(true)?;
                    self.skip_one();
                    self.skip(&[Token::Blank]);
                    self.skip_one();
                }
                [Token::Number(_) | Token::Year(_) | Token::Month(_), ..] => self.date_part()?,
                [Token::Mark, Token::Number(_), Token::Colon, ..] if self.date.len() == 3 => {
                    self.skip_one();
                }
                [Token::Zone, ..] if self.has_time && !has_zone => {
                    has_zone = true;
                    self.skip_one();
                }
                [Token::Plus | Token::Hyphen, ..] if self.has_time && !has_zone => {
                    has_zone = true;
                    self.offset()?;
                }
                _ => return None,
            }
        }
        let is_date = is_date(&self.date);
        (is_date || self.date.is_empty() && self.has_time).then_some(())
    }

    fn skip_one(&mut self) {
        self.rest = &self.rest[1..];
    }

    fn skip(&mut self, meant: &[Token]) {
        while self.rest.first().is_some_and(|token| meant.contains(token)) {
            self.skip_one();
        }
    }

    /// A part of the date, and the separator behind it, which something must follow.
    fn date_part(&mut self) -> Option<()> {
        self.date.push(self.rest[0]);
        self.skip_one();
        let before = self.rest;
        self.skip(&[Token::Blank]);
        match *self.rest {
            [Token::Slash | Token::Hyphen, ..] if !(self.has_time && self.date.len() == 3) => {
                self.skip_one();
                self.skip(&[Token::Blank]);
                let goes_on = [Token::Number(0), Token::Year(0), Token::Month(0)].map(|token| {
                    let kind = std::mem::discriminant(&token);
                    self.rest
                        .first()
                        .is_some_and(|next| std::mem::discriminant(next) == kind)
                });
                (goes_on.contains(&true) && self.date.len() < 3).then_some(())
            }
            _ => {
                self.rest = before;
                (self.date.len() <= 3).then_some(())
            }
        }
    }

    /// `h:m`, `h:m:s`, `h:m:s.f`, and a half of the day behind it.
    fn time(&mut self) -> Option<()> {
        let mut numbers = Vec::new();
        while let [Token::Number(number), rest @ ..] = self.rest {
            numbers.push(*number);
            self.rest = rest;
            match rest {
                [Token::Colon, Token::Number(_), ..] => self.skip_one(),
                [Token::Dot, Token::Number(_) | Token::Year(_), ..] if numbers.len() == 3 => {
                    self.rest = &rest[2..];
                    break;
                }
                _ => break,
            }
        }
        self.skip(&[Token::Blank]);
        let mut hours = 24;
        if let [Token::Half(_), ..] = self.rest {
            hours = 13;
            self.skip_one();
        }
        let is_time = match numbers[..] {
            [hour, minute] => hour < hours && minute < 60,
            [hour, minute, second] => hour < hours && minute < 60 && second < 60,
            _ => false,
        };
        let is_first = !self.has_time && self.rest.first() != Some(&Token::Colon);
        self.has_time = true;
        (is_time && is_first).then_some(())
    }

    /// `+hh`, `+hh:mm`, `+hhmm`.
    fn offset(&mut self) -> Option<()> {
        self.skip_one();
        let (hours, minutes, length) = match *self.rest {
            [
                Token::Number(hours),
                Token::Colon,
                Token::Number(minutes),
                ..,
            ] => (hours, minutes, 3),
            [Token::Number(hours), ..] => (hours, 0, 1),
            [Token::Year(both), ..] if both < 10_000 => (both / 100, both % 100, 1),
            _ => return None,
        };
        self.rest = &self.rest[length..];
        (hours * 60 + minutes <= 14 * 60 && minutes < 60).then_some(())
    }
}

/// Whether the parts make a date, in the order in which they stand.
fn is_date(parts: &[Token]) -> bool {
    use Token::{Month, Number, Year};
    let is_month = |month: u32| (1..=12).contains(&month);
    match *parts {
        [Number(month), Number(day)] => is_day(2000, month, day),
        [Year(year), Number(month)] | [Number(month), Year(year)] => {
            is_year(year) && is_month(month)
        }
        [Month(month), Number(day)] => is_day(2000, month, day),
        // A number before a month is a year.
        [Number(_), Month(_)] => true,
        [Year(year), Month(_)] | [Month(_), Year(year)] => is_year(year),
        [Number(month), Number(day), Number(year)] => is_day(in_full(year), month, day),
        [Year(year), Number(month), Number(day)]
        | [Number(month), Number(day), Year(year)]
        | [Number(month), Year(year), Number(day)] => is_day(year, month, day),
        [Month(month), Number(one), Number(other)]
        | [Number(one), Month(month), Number(other)]
        | [Number(one), Number(other), Month(month)] => {
            is_day(in_full(other), month, one) || is_day(in_full(one), month, other)
        }
        [Year(year), Month(month), Number(day)]
        | [Year(year), Number(day), Month(month)]
        | [Month(month), Year(year), Number(day)]
        | [Month(month), Number(day), Year(year)]
        | [Number(day), Month(month), Year(year)]
        | [Number(day), Year(year), Month(month)] => is_day(year, month, day),
        _ => false,
    }
}

/// A year of two digits: up to 49 it is of this century.
fn in_full(year: u32) -> u32 {
    if year < 50 { 2000 + year } else { 1900 + year }
}

fn is_year(year: u32) -> bool {
    (1..=9999).contains(&year)
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let is_leap_year =
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year => 29,
        2 => 28,
        _ => return false,
    };
    is_year(year) && (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_one_or_none(text in "([0-9]{0,5}|jan|am|z|t|mon|[-+/:., \u{e9}]){0,12}") {
            let _ = is_date_time(&text);
        }
    }

    #[test]
    fn what_the_invariant_parser_takes() {
        for text in [
            "2016-12-31",
            "2016-12-31 7:32pm",
            "2016-12-31T07:32:05",
            "2016-12-31T07:32:05.1234567Z",
            "2016-12-31T07:32:05+01:00",
            "2016-12-31 07:32:05 -0930",
            "12/31/2016",
            "12-31-2016 07:32",
            "2016/2/29",
            "2016-12",
            "7:32",
            "7:32:05.5",
            "1.5",
            "1 5",
            "12,31",
            "1.5.2024",
            "1.2.3",
            "1/5 7:30",
            "7:30 1/5",
            "7 PM",
            "12am",
            "Jan 5",
            "january-5-2024",
            "14 June",
            "5 May 2024",
            "Mon, 5 May 2024 07:00:00 GMT",
            "2024 may 5",
            " 2016 - 12 - 31 ",
        ] {
            assert!(is_date_time(text), "{text:?} is refused");
        }
    }

    #[test]
    fn what_it_refuses() {
        for text in [
            "",
            "1",
            "2016",
            "abc",
            "2016-13-01",
            "2015-02-29",
            "31/12/2016",
            "13.5",
            "1.32",
            "2016-12-31T",
            "2016-12-31 25:00",
            "2016-12-31 13:00 pm",
            "7:60",
            "1:2:3:4",
            "1/",
            "/1/2",
            "1-2-",
            "1.2.3.4",
            "1e3",
            "0x1",
            "12:30:",
            "7:30 8:30",
            "123456789",
            "-5",
            "true",
            "a:b",
            "\u{e9}",
        ] {
            assert!(!is_date_time(text), "{text:?} is accepted");
        }
    }
}
