//! What a WSGI application is told of a request: its environ.

use std::borrow::Cow;

use http::request::Parts;
use http::{HeaderMap, HeaderName, Version, header};
use ostler_target::RequestInfo;
use percent_encoding::percent_decode_str;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Makes environs; what all of them have is made once.
#[derive(Debug)]
pub(crate) struct EnvironMaker {
    common: Py<PyDict>,
}

impl EnvironMaker {
    pub(crate) fn new(py: Python<'_>, root_path: &str, multiprocess: bool) -> PyResult<Self> {
        let common = PyDict::new(py);
        common.set_item("SCRIPT_NAME", latin1(py, root_path.as_bytes()))?;
        common.set_item("SERVER_SOFTWARE", "ostler")?;
        common.set_item("wsgi.version", (1, 0))?;
        common.set_item("wsgi.multithread", true)?;
        common.set_item("wsgi.multiprocess", multiprocess)?;
        common.set_item("wsgi.run_once", false)?;
        Ok(Self {
            common: common.unbind(),
        })
    }

    /// The environ of a request, without what only Python has: its input, errors and file wrapper.
    pub(crate) fn environ<'py>(
        &self,
        py: Python<'py>,
        head: &Parts,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.common.bind(py).copy()?;
        environ.set_item(intern!(py, "REQUEST_METHOD"), head.method.as_str())?;
        let path: Cow<'_, [u8]> = percent_decode_str(head.uri.path()).into();
        environ.set_item(intern!(py, "PATH_INFO"), latin1(py, &path))?;
        let query = head.uri.query().unwrap_or_default();
        environ.set_item(intern!(py, "QUERY_STRING"), query)?;
        let target = head
            .uri
            .path_and_query()
            .map_or("*", |target| target.as_str());
        environ.set_item(intern!(py, "REQUEST_URI"), target)?;
        environ.set_item(intern!(py, "RAW_URI"), target)?;
        let protocol = match head.version {
            Version::HTTP_2 => intern!(py, "HTTP/2"),
            Version::HTTP_10 => intern!(py, "HTTP/1.0"),
            _ => intern!(py, "HTTP/1.1"),
        };
        environ.set_item(intern!(py, "SERVER_PROTOCOL"), protocol)?;
        set_addresses(&environ, head.extensions.get::<RequestInfo>())?;
        set_fields(&environ, &head.headers)?;
        Ok(environ)
    }
}

fn set_addresses(environ: &Bound<'_, PyDict>, info: Option<&RequestInfo>) -> PyResult<()> {
    let py = environ.py();
    let scheme = info.map_or("http", RequestInfo::scheme);
    environ.set_item(intern!(py, "wsgi.url_scheme"), scheme)?;
    if scheme == "https" {
        environ.set_item(intern!(py, "HTTPS"), intern!(py, "on"))?;
    }
    if let Some(client) = info.and_then(RequestInfo::client_address) {
        let ip = client.ip().to_canonical().to_string();
        environ.set_item(intern!(py, "REMOTE_ADDR"), ip)?;
        environ.set_item(intern!(py, "REMOTE_PORT"), client.port().to_string())?;
    } else {
        // PEP 3333 allows none, and frameworks have ever expected one.
        environ.set_item(intern!(py, "REMOTE_ADDR"), "")?;
    }
    let (name, port) = match info.and_then(RequestInfo::local_address) {
        Some(local) => (
            local.ip().to_canonical().to_string(),
            local.port().to_string(),
        ),
        None => (
            "localhost".to_owned(),
            if scheme == "https" { "443" } else { "80" }.to_owned(),
        ),
    };
    environ.set_item(intern!(py, "SERVER_NAME"), name)?;
    environ.set_item(intern!(py, "SERVER_PORT"), port)
}

fn set_fields(environ: &Bound<'_, PyDict>, fields: &HeaderMap) -> PyResult<()> {
    let py = environ.py();
    for name in fields.keys() {
        let Some(key) = key_of(name) else { continue };
        let mut values = fields.get_all(name).iter();
        let Some(first) = values.next() else { continue };
        let mut joined = Cow::Borrowed(first.as_bytes());
        let separator: &[u8] = if name == header::COOKIE { b"; " } else { b"," };
        for value in values {
            let joined = joined.to_mut();
            joined.extend_from_slice(separator);
            joined.extend_from_slice(value.as_bytes());
        }
        environ.set_item(&*key, latin1(py, &joined))?;
    }
    Ok(())
}

/// The variable of a field, if it has one.
fn key_of(name: &HeaderName) -> Option<Cow<'static, str>> {
    match *name {
        header::HOST => return Some("HTTP_HOST".into()),
        header::USER_AGENT => return Some("HTTP_USER_AGENT".into()),
        header::ACCEPT => return Some("HTTP_ACCEPT".into()),
        header::COOKIE => return Some("HTTP_COOKIE".into()),
        header::CONTENT_TYPE => return Some("CONTENT_TYPE".into()),
        header::CONTENT_LENGTH => return Some("CONTENT_LENGTH".into()),
        // How the body was delimited is the server's business: here it has a length.
        header::TRANSFER_ENCODING => return None,
        _ => {}
    }
    let name = name.as_str();
    // `X_User` would become what `X-User` becomes, which a front may have set; and programs that are started
    // take the variable that `Proxy` becomes for the proxy that they are to use.
    if name.contains('_') || name == "proxy" {
        return None;
    }
    let mut key = String::with_capacity(name.len() + 5);
    key.push_str("HTTP_");
    key.extend(name.chars().map(|c| match c {
        '-' => '_',
        c => c.to_ascii_uppercase(),
    }));
    Some(key.into())
}

/// Bytes as text, as PEP 3333 has it: each is the character of its number.
fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => PyString::new(py, text),
        _ => PyString::new(
            py,
            &bytes.iter().copied().map(char::from).collect::<String>(),
        ),
    }
}
