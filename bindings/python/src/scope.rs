//! What an ASGI application is told of a request: its scope.

use std::net::SocketAddr;

use http::Version;
use http::request::Parts;
use ostler_target::RequestInfo;
use percent_encoding::percent_decode_str;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

/// Makes scopes; what all of them have is made once.
#[derive(Debug)]
pub(crate) struct ScopeMaker {
    root_path: Py<PyString>,
    has_root_path: bool,
    asgi: Py<PyDict>,
    http_extensions: Py<PyDict>,
    websocket_extensions: Py<PyDict>,
    /// What the application has made of its state as it started.
    state: Option<Py<PyDict>>,
}

impl ScopeMaker {
    pub(crate) fn new(
        py: Python<'_>,
        root_path: &str,
        state: Option<Py<PyDict>>,
    ) -> PyResult<Self> {
        let asgi = PyDict::new(py);
        asgi.set_item("version", "3.0")?;
        asgi.set_item("spec_version", "2.4")?;
        let http_extensions = PyDict::new(py);
        http_extensions.set_item("http.response.pathsend", PyDict::new(py))?;
        http_extensions.set_item("http.response.trailers", PyDict::new(py))?;
        let websocket_extensions = PyDict::new(py);
        websocket_extensions.set_item("websocket.http.response", PyDict::new(py))?;
        Ok(Self {
            root_path: PyString::new(py, root_path).unbind(),
            has_root_path: !root_path.is_empty(),
            asgi: asgi.unbind(),
            http_extensions: http_extensions.unbind(),
            websocket_extensions: websocket_extensions.unbind(),
            state,
        })
    }

    /// The scope of a request, for HTTP or for a WebSocket.
    pub(crate) fn scope<'py>(
        &self,
        py: Python<'py>,
        head: &Parts,
        is_websocket: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let info = head.extensions.get::<RequestInfo>();
        let is_https = info.is_some_and(|info| info.scheme() == "https");
        let scope = PyDict::new(py);
        let (kind, scheme, extensions) = match (is_websocket, is_https) {
            (false, false) => (
                intern!(py, "http"),
                intern!(py, "http"),
                &self.http_extensions,
            ),
            (false, true) => (
                intern!(py, "http"),
                intern!(py, "https"),
                &self.http_extensions,
            ),
            (true, false) => (
                intern!(py, "websocket"),
                intern!(py, "ws"),
                &self.websocket_extensions,
            ),
            (true, true) => (
                intern!(py, "websocket"),
                intern!(py, "wss"),
                &self.websocket_extensions,
            ),
        };
        scope.set_item(intern!(py, "type"), kind)?;
        scope.set_item(intern!(py, "asgi"), self.asgi.bind(py).copy()?)?;
        scope.set_item(intern!(py, "http_version"), version(py, head.version))?;
        scope.set_item(intern!(py, "scheme"), scheme)?;
        if is_websocket {
            scope.set_item(intern!(py, "subprotocols"), subprotocols(py, head)?)?;
        } else {
            scope.set_item(intern!(py, "method"), method(py, &head.method))?;
        }
        self.set_path(&scope, head)?;
        scope.set_item(intern!(py, "headers"), headers(py, head)?)?;
        let client = info.and_then(RequestInfo::client_address);
        scope.set_item(intern!(py, "client"), address(py, client)?)?;
        let server = info.and_then(RequestInfo::local_address);
        scope.set_item(intern!(py, "server"), address(py, server)?)?;
        if let Some(state) = &self.state {
            scope.set_item(intern!(py, "state"), state.bind(py).copy()?)?;
        }
        let extensions = extensions.bind(py).copy()?;
        if let Some(info) = info
            && info.tls().is_some()
        {
            extensions.set_item(intern!(py, "tls"), tls(py, info)?)?;
        }
        scope.set_item(intern!(py, "extensions"), extensions)?;
        Ok(scope)
    }

    fn set_path(&self, scope: &Bound<'_, PyDict>, head: &Parts) -> PyResult<()> {
        let py = scope.py();
        let raw = head.uri.path();
        let decoded = percent_decode_str(raw).decode_utf8_lossy();
        let root = self.root_path.bind(py);
        // As uvicorn does: `path` begins with the root path.
        let path = PyString::new(py, &decoded);
        let raw_path = PyBytes::new(py, raw.as_bytes());
        if self.has_root_path {
            scope.set_item(intern!(py, "path"), root.add(path)?)?;
            let root = root.call_method0(intern!(py, "encode"))?;
            scope.set_item(intern!(py, "raw_path"), root.add(raw_path)?)?;
        } else {
            scope.set_item(intern!(py, "path"), path)?;
            scope.set_item(intern!(py, "raw_path"), raw_path)?;
        }
        scope.set_item(intern!(py, "root_path"), root)?;
        let query = head.uri.query().unwrap_or_default();
        scope.set_item(
            intern!(py, "query_string"),
            PyBytes::new(py, query.as_bytes()),
        )
    }
}

fn version(py: Python<'_>, version: Version) -> &Bound<'_, PyString> {
    match version {
        Version::HTTP_2 => intern!(py, "2"),
        Version::HTTP_10 => intern!(py, "1.0"),
        _ => intern!(py, "1.1"),
    }
}

fn method<'py>(py: Python<'py>, method: &http::Method) -> Bound<'py, PyString> {
    match method.as_str() {
        "GET" => intern!(py, "GET").clone(),
        "POST" => intern!(py, "POST").clone(),
        other => PyString::new(py, other),
    }
}

fn headers<'py>(py: Python<'py>, head: &Parts) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for (name, value) in &head.headers {
        let name = PyBytes::new(py, name.as_str().as_bytes());
        let value = PyBytes::new(py, value.as_bytes());
        list.append(PyTuple::new(py, [name, value])?)?;
    }
    Ok(list)
}

fn subprotocols<'py>(py: Python<'py>, head: &Parts) -> PyResult<Bound<'py, PyList>> {
    let values = head.headers.get_all(http::header::SEC_WEBSOCKET_PROTOCOL);
    let values = values.iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    PyList::new(
        py,
        names.filter(|name| !name.is_empty()).collect::<Vec<_>>(),
    )
}

fn address<'py>(
    py: Python<'py>,
    address: Option<SocketAddr>,
) -> PyResult<Option<(Bound<'py, PyString>, u16)>> {
    Ok(address.map(|address| {
        let ip = PyString::new(py, &address.ip().to_canonical().to_string());
        (ip, address.port())
    }))
}

/// The extension `tls`. What only the front knows of the handshake is `None`.
fn tls<'py>(py: Python<'py>, info: &RequestInfo) -> PyResult<Bound<'py, PyDict>> {
    let tls = PyDict::new(py);
    for unknown in [
        "server_cert",
        "client_cert_name",
        "client_cert_error",
        "cipher_suite",
    ] {
        tls.set_item(unknown, py.None())?;
    }
    tls.set_item("client_cert_chain", PyList::empty(py))?;
    tls.set_item(
        "tls_version",
        info.tls().map(ostler_target::TlsInfo::version),
    )?;
    Ok(tls)
}
