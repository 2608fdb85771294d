//! What Python gives, as the serving thread needs it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// Bytes that are not worth a reference beyond the interpreter's lock: copying them is cheaper.
const SMALL: usize = 16 * 1024;

/// The bytes of a bytes-like object; many of them stay where they are.
pub(crate) fn bytes_of(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let bytes = match data.cast::<PyBytes>() {
        Ok(bytes) => bytes.clone(),
        Err(_) if data.is_instance_of::<pyo3::types::PyInt>() => {
            return Err(PyValueError::new_err("a number is no bytes"));
        }
        // A `memoryview` or another buffer.
        Err(_) => data
            .py()
            .get_type::<PyBytes>()
            .call1((data,))?
            .cast_into::<PyBytes>()?,
    };
    if bytes.as_bytes().len() < SMALL {
        return Ok(Bytes::copy_from_slice(bytes.as_bytes()));
    }
    Ok(Bytes::from_owner(PyBackedBytes::from(bytes)))
}

/// Fields: pairs of names and values, as bytes or, as WSGI has it, as text.
pub(crate) fn fields_of(pairs: &Bound<'_, PyAny>) -> PyResult<HeaderMap> {
    let mut fields = HeaderMap::new();
    for pair in pairs.try_iter()? {
        let pair = pair?;
        let name = with_bytes(&pair.get_item(0)?, |name| {
            HeaderName::from_bytes(name)
                .map_err(|_| PyValueError::new_err(format!("not a field name: {pair}")))
        })?;
        let value = with_bytes(&pair.get_item(1)?, |value| {
            HeaderValue::from_bytes(value.trim_ascii())
                .map_err(|_| PyValueError::new_err(format!("not the value of a field: {pair}")))
        })?;
        fields.append(name, value);
    }
    Ok(fields)
}

fn with_bytes<T>(value: &Bound<'_, PyAny>, call: impl FnOnce(&[u8]) -> PyResult<T>) -> PyResult<T> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return call(bytes.as_bytes());
    }
    // PEP 3333: text that stands for bytes has no character above U+00FF.
    let latin1 = value.call_method1("encode", ("latin-1",))?;
    call(latin1.cast::<PyBytes>()?.as_bytes())
}

/// The status of a response: 1xx begin none.
pub(crate) fn status_of(status: u16) -> PyResult<StatusCode> {
    StatusCode::from_u16(status)
        .ok()
        .filter(|status| !status.is_informational())
        .ok_or_else(|| PyValueError::new_err(format!("not the status of a response: {status}")))
}
