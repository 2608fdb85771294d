//! Bodies for errors that the front answers by itself: by status, and by the type that the client asks for.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use ostler_http1::RequestHead;

/// Pages for errors, which may be replaced while they are in use.
#[derive(Debug, Default)]
pub struct ErrorPages(ArcSwap<Vec<ErrorPage>>);

/// A page: what is said with a status, in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    /// What it is for.
    pub errors: Errors,
    /// How it is written.
    pub form: PageForm,
    /// The page itself.
    pub body: Bytes,
}

/// What a page is for. Of several that are for a status, the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errors {
    /// This status.
    Status(u16),
    /// Those from 400 to 499 (4), or from 500 to 599 (5).
    Class(u16),
}

/// How a page is written. Where a client likes several equally well, it gets the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageForm {
    /// `.html`
    Html,
    /// `.json`
    Json,
    /// `.txt`
    Text,
}

impl ErrorPage {
    /// A page of a file with this name, such as `404.html` or `5xx.json`; `None` where it is none.
    pub fn of_file(name: &str, body: impl Into<Bytes>) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let errors = match stem.to_ascii_lowercase().as_str() {
            "4xx" => Errors::Class(4),
            "5xx" => Errors::Class(5),
            number => Errors::Status(
                number
                    .parse()
                    .ok()
                    .filter(|number| (400..600).contains(number))?,
            ),
        };
        let form = match extension.to_ascii_lowercase().as_str() {
            "html" | "htm" => PageForm::Html,
            "json" => PageForm::Json,
            "txt" => PageForm::Text,
            _ => return None,
        };
        let body = body.into();
        Some(Self { errors, form, body })
    }
}

impl PageForm {
    const ALL: [Self; 3] = [Self::Html, Self::Json, Self::Text];

    fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    /// Whether a range of `Accept` is of this type, and how exactly it says so.
    fn is_in(self, range: &str) -> Option<u8> {
        let (kind, any_of_kind) = match self {
            Self::Html => ("text/html", "text/*"),
            Self::Json => ("application/json", "application/*"),
            Self::Text => ("text/plain", "text/*"),
        };
        // RFC 9457: who asks for problems asks for JSON.
        let is_problem =
            self == Self::Json && range.eq_ignore_ascii_case("application/problem+json");
        match () {
            () if range.eq_ignore_ascii_case(kind) || is_problem => Some(2),
            () if range.eq_ignore_ascii_case(any_of_kind) => Some(1),
            () if range == "*/*" => Some(0),
            () => None,
        }
    }
}

impl ErrorPages {
    /// Puts these pages in the place of those before.
    pub fn set(&self, pages: Vec<ErrorPage>) {
        self.0.store(Arc::new(pages));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }

    /// What is said with an error, whose fields are given its type; `None` where nothing is.
    pub(crate) fn say(
        &self,
        status: StatusCode,
        head: Option<&RequestHead>,
        fields: &mut HeaderMap,
    ) -> Option<Bytes> {
        let code = status.as_u16();
        let pages = self.0.load();
        let of = |errors: Errors| pages.iter().filter(move |page| page.errors == errors);
        let forms = |form: PageForm| {
            let mut own = of(Errors::Status(code)).chain(of(Errors::Class(code / 100)));
            own.find(|page| page.form == form)
        };
        let known: Vec<_> = PageForm::ALL.into_iter().filter_map(forms).collect();
        if known.len() > 1 {
            fields.append(VARY, HeaderValue::from_static("Accept"));
        }
        // The first of those that are liked best.
        let mut best: Option<(&ErrorPage, u16)> = None;
        for page in known {
            let liked = head.map_or(1000, |head| liking(page.form, head));
            if liked > best.map_or(0, |(_, most)| most) {
                best = Some((page, liked));
            }
        }
        let (page, _) = best?;
        let content_type = HeaderValue::from_static(page.form.content_type());
        fields.insert(CONTENT_TYPE, content_type);
        Some(page.body.clone())
    }
}

/// How well a client likes a form, in thousandths; 0 is not at all (RFC 9110 section 12.5.1).
fn liking(form: PageForm, head: &RequestHead) -> u16 {
    let mut found: Option<(u8, u16)> = None;
    let mut says = false;
    for value in head.fields_named("accept") {
        let Ok(value) = std::str::from_utf8(value) else {
            continue;
        };
        for range in value.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            says |= !name.is_empty();
            let weight = parts.find_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim()
                    .eq_ignore_ascii_case("q")
                    .then(|| thousandths(value.trim()))
            });
            if let Some(exactness) = form.is_in(name)
                && found.is_none_or(|(before, _)| exactness > before)
            {
                found = Some((exactness, weight.unwrap_or(1000)));
            }
        }
    }
    match found {
        Some((_, weight)) => weight,
        None if says => 0,
        None => 1000,
    }
}

/// A weight; one that is malformed counts as none.
fn thousandths(text: &str) -> u16 {
    let weight = text
        .parse::<f32>()
        .ok()
        .filter(|weight| (0.0..=1.0).contains(weight));
    weight.map_or(0, |weight| (weight * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_http1::{HeadDecoder, Limits};

    fn head(accept: &str) -> RequestHead {
        let mut head = RequestHead::default();
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{accept}\r\n");
        HeadDecoder::new(Limits::default())
            .decode(text.as_bytes(), &mut head)
            .unwrap();
        head
    }

    fn pages(names: &[&str]) -> ErrorPages {
        let pages = names
            .iter()
            .map(|name| ErrorPage::of_file(name, name.as_bytes().to_vec()));
        let all = ErrorPages::default();
        all.set(pages.map(Option::unwrap).collect());
        all
    }

    #[test]
    fn the_status_comes_before_the_class_and_what_the_client_likes_before_the_rest() {
        let pages = pages(&[
            "5xx.html", "404.json", "4xx.html", "404.html", "503.txt", "5xx.json",
        ]);
        for (status, accept, expected) in [
            (404, "", "404.html"),
            (404, "Accept: application/json\r\n", "404.json"),
            (
                404,
                "Accept: text/html;q=0.5, application/json;q=0.6\r\n",
                "404.json",
            ),
            (
                404,
                "Accept: text/*;q=0.1\r\nAccept: application/problem+json\r\n",
                "404.json",
            ),
            (404, "Accept: */*\r\n", "404.html"),
            (404, "Accept: */*, text/html;q=0\r\n", "404.json"),
            (404, "Accept: image/png\r\n", ""),
            (400, "Accept: application/json\r\n", ""),
            (503, "Accept: text/plain\r\n", "503.txt"),
            (503, "", "5xx.html"),
            (
                502,
                "Accept: application/json, text/html;q=bad\r\n",
                "5xx.json",
            ),
        ] {
            let mut fields = HeaderMap::new();
            let status = StatusCode::from_u16(status).unwrap();
            let said = pages.say(status, Some(&head(accept)), &mut fields);
            let said = said.unwrap_or_default();
            assert_eq!(said, expected.as_bytes(), "{status} {accept}");
            assert_eq!(fields.contains_key(CONTENT_TYPE), !expected.is_empty());
            // Where there is a choice, caches are told.
            assert_eq!(fields.contains_key(VARY), status != 400, "{status}");
        }
    }

    #[test]
    fn other_files_are_no_pages() {
        for name in [
            "404",
            "200.html",
            "600.html",
            "6xx.html",
            "404.css",
            "index.html",
            ".html",
        ] {
            assert!(ErrorPage::of_file(name, "").is_none(), "{name}");
        }
    }
}
