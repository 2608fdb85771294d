//! Static files beside the proxy, as YARP's container application has them (reference A9.3):
//! before routes, and one file for paths that no route matches.
//!
//! Ranges, conditions and types are `tower-http`'s business; which file a path means is ASP.NET's.
//! Files are looked for and read on the runtime's blocking threads.

mod answer;
pub(crate) mod range;
#[cfg(test)]
mod tests;

use std::path::{Component, Path, PathBuf};

use http::header::{ETAG, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use ostler_model::transforms::path::forwarded;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tower_http::services::ServeDir;
use tower_http::services::fs::ServeFileSystemResponseBody;

use crate::error_chain::Chain;

pub(crate) use answer::{find, find_unmatched};

/// ASP.NET's default documents, in order.
const DEFAULT_DOCUMENTS: [&str; 4] = ["default.htm", "default.html", "index.htm", "index.html"];

/// What is escaped of a path that is made here: all but RFC 3986's unreserved, and the slash.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Which files are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticFileOptions {
    /// The folder they are in.
    pub root: PathBuf,
    /// Whether they are looked for before routes: each GET and HEAD then costs a look at the file
    /// system, on another thread.
    pub enabled: bool,
    /// Whether a file is served of whose extension no type is known.
    pub serve_unknown_file_types: bool,
    /// The file, below `root`, for paths that no route matches and that are not named like a file.
    pub navigation_fallback: Option<String>,
}

/// Files that requests are answered from.
#[derive(Debug)]
pub(crate) struct StaticFiles {
    options: StaticFileOptions,
    directory: ServeDir,
}

/// A response out of a file.
pub(crate) type FileResponse = Response<FileBody>;

/// The body of a response out of a file.
pub(crate) type FileBody = ServeFileSystemResponseBody;

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// This file, by its path below the root.
    File(PathBuf),
    /// A folder with a default document; the path lacks the slash at its end.
    Folder,
}

impl StaticFiles {
    pub(crate) fn new(options: StaticFileOptions) -> Self {
        let directory = ServeDir::new(&options.root)
            .append_index_html_on_directories(false)
            // As ASP.NET: more than one range is no range.
            .ignore_multi_range_requests(true);
        Self { options, directory }
    }

    /// The answer from a file, if the request is for one.
    pub(crate) async fn serve(&self, request: Request<()>) -> Option<FileResponse> {
        if !self.options.enabled || !is_read(request.method()) {
            return None;
        }
        let path = forwarded(request.uri().path()).into_owned();
        match self.place(&path).await? {
            Place::File(file) => self.send(request, &file).await,
            Place::Folder => {
                let query = request.uri().query();
                let query = query.map_or(String::new(), |query| format!("?{query}"));
                let location = HeaderValue::from_str(&format!("{path}/{query}")).ok()?;
                let mut response = FileResponse::default();
                *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
                response.headers_mut().insert(LOCATION, location);
                Some(response)
            }
        }
    }

    /// Whether the navigation fallback is for a path: it is not named like a file.
    pub(crate) fn falls_back(&self, path: &str) -> bool {
        self.options.navigation_fallback.is_some() && !is_file_name(&forwarded(path))
    }

    /// The answer from the navigation fallback, if its file is there.
    pub(crate) async fn serve_fallback(&self, request: Request<()>) -> Option<FileResponse> {
        let path = self.options.navigation_fallback.as_deref()?;
        let path = path.trim_start_matches('/');
        match self
            .place(&format!("/{}", utf8_percent_encode(path, ESCAPED)))
            .await
        {
            Some(Place::File(file)) => self.send(request, &file).await,
            Some(Place::Folder) | None => {
                tracing::warn!(path, "the navigation fallback is no file");
                None
            }
        }
    }

    /// What a path in the form it is forwarded in means; `None` if no file that may be seen.
    async fn place(&self, path: &str) -> Option<Place> {
        let below = below(path)?;
        let full = self.options.root.join(&below);
        let found = tokio::fs::metadata(&full).await.ok()?;
        if found.is_file() && !path.ends_with('/') {
            return self.may_be_sent(&below).then_some(Place::File(below));
        }
        if !found.is_dir() {
            return None;
        }
        for document in DEFAULT_DOCUMENTS {
            let found = tokio::fs::metadata(full.join(document)).await;
            if found.is_ok_and(|found| found.is_file()) {
                return Some(match path.ends_with('/') {
                    true => Place::File(below.join(document)),
                    false => Place::Folder,
                });
            }
        }
        None
    }

    /// ASP.NET serves no file without a type: what it is, nobody has said.
    fn may_be_sent(&self, file: &Path) -> bool {
        self.options.serve_unknown_file_types || mime_guess::from_path(file).first_raw().is_some()
    }

    async fn send(&self, mut request: Request<()>, file: &Path) -> Option<FileResponse> {
        let path = file.to_str()?;
        let uri = format!("/{}", utf8_percent_encode(path, ESCAPED));
        *request.uri_mut() = Uri::try_from(uri).ok()?;
        self.simplify_range(&mut request, file).await;
        let is_changed = match request.headers().get(IF_RANGE) {
            Some(validator) => !self.is_current(&request, validator).await,
            None => false,
        };
        if is_changed {
            // RFC 9110 section 13.1.5: the whole of what there is now.
            request.headers_mut().remove(RANGE);
        }
        match self.directory.clone().try_call(request).await {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => None,
            Ok(response) => Some(response),
            Err(error) => {
                tracing::warn!(file = path, error = %Chain(&error), "a file cannot be served");
                None
            }
        }
    }

    /// Leaves a range in the request only where one is to be sent, in the form that is understood. It is
    /// for GET alone (RFC 9110 section 14.2).
    async fn simplify_range(&self, request: &mut Request<()>, file: &Path) {
        if !request.headers().contains_key(RANGE) {
            return;
        }
        let found = tokio::fs::metadata(self.options.root.join(file)).await;
        let range = match found {
            Ok(found) if *request.method() == Method::GET => {
                range::plain(request.headers(), found.len())
            }
            _ => None,
        };
        let headers = request.headers_mut();
        headers.remove(RANGE);
        if let Some(range) = range {
            headers.insert(RANGE, range);
        }
    }

    /// Whether an entity tag or a date is that of the file as it is.
    async fn is_current(&self, request: &Request<()>, validator: &HeaderValue) -> bool {
        let mut asked = Request::new(());
        *asked.method_mut() = Method::HEAD;
        *asked.uri_mut() = request.uri().clone();
        let Ok(found) = self.directory.clone().try_call(asked).await else {
            return false;
        };
        let fields = found.headers();
        let mut validators = [fields.get(ETAG), fields.get(LAST_MODIFIED)].into_iter();
        // A weak tag is no such validator.
        !validator.as_bytes().starts_with(b"W/") && validators.any(|have| have == Some(validator))
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The path of a file below the root. Names that begin with a dot are nobody's business, as in
/// ASP.NET; what could lead elsewhere is none.
fn below(path: &str) -> Option<PathBuf> {
    let path = path.strip_prefix('/')?;
    let mut names = path.split('/');
    if path.contains("//") || path.starts_with('/') || names.any(|name| name.starts_with('.')) {
        return None;
    }
    // An encoded slash is no slash.
    if path
        .as_bytes()
        .windows(3)
        .any(|text| text.eq_ignore_ascii_case(b"%2f"))
    {
        return None;
    }
    let path = percent_decode_str(path).decode_utf8().ok()?;
    if path.contains(['\0', '\\']) {
        return None;
    }
    let path = Path::new(path.as_ref());
    let mut components = path.components();
    components
        .all(|component| matches!(component, Component::Normal(_)))
        .then(|| path.components().collect())
}

/// ASP.NET's `FileNameRouteConstraint`: a dot in the last segment, and something behind it.
fn is_file_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let behind = name.split_once('.').map(|(_, behind)| behind);
    behind.is_some_and(|behind| behind.bytes().any(|byte| byte != b'.'))
}
