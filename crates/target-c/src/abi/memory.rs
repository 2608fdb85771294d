//! The caller's memory: what is checked about it, and the only places where it is read or written.

use std::ffi::{CStr, c_char, c_void};
use std::fs::File;
use std::os::fd::{BorrowedFd, RawFd};
use std::slice;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Error;

/// A field of a head: bytes, which need not end with a zero.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// In lower case where the library gives it.
    pub name: *const c_char,
    /// Bytes of the name.
    pub name_length: usize,
    /// Any bytes but controls.
    pub value: *const c_char,
    /// Bytes of the value.
    pub value_length: usize,
}

fn refused(text: impl Into<String>) -> Error {
    Error::Argument(text.into())
}

/// A text that ends with a zero; `None` where it is NULL.
///
/// # Safety
///
/// It must be NULL or such a text, which stays as it is for `'a`.
pub(super) unsafe fn text<'a>(from: *const c_char, what: &str) -> Result<Option<&'a str>, Error> {
    if from.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not NULL, so it is a text, by the caller's promise.
    let text = unsafe { CStr::from_ptr(from) };
    match text.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(refused(format!("{what} is not UTF-8"))),
    }
}

/// So many values; NULL is none, where there are to be none.
///
/// # Safety
///
/// Where it is not NULL, `count` values must stand there, which stay as they are for `'a`.
pub(super) unsafe fn values<'a, T>(
    from: *const T,
    count: usize,
    what: &str,
) -> Result<&'a [T], Error> {
    check(from, count, what)?;
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, aligned and of a possible size; that the values are there is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(from, count) })
}

/// Room for so many bytes.
///
/// # Safety
///
/// Where it is not NULL, so many bytes must be the caller's to write, and nobody else's for `'a`.
pub(super) unsafe fn room<'a>(to: *mut c_void, count: usize) -> Result<&'a mut [u8], Error> {
    check(to.cast::<u8>(), count, "the buffer")?;
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not NULL and of a possible size; that it is the caller's is the caller's promise. Bytes that were
    // never written are nothing that C knows of: it gives memory.
    Ok(unsafe { slice::from_raw_parts_mut(to.cast(), count) })
}

fn check<T>(at: *const T, count: usize, what: &str) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    if at.is_null() {
        return Err(refused(format!("{what} is NULL, and not empty")));
    }
    if !at.is_aligned() {
        return Err(refused(format!("{what} is not aligned")));
    }
    let most = isize::MAX as usize / size_of::<T>().max(1);
    match count > most {
        true => Err(refused(format!("{what} is larger than memory"))),
        false => Ok(()),
    }
}

/// Gives the caller a value.
///
/// # Safety
///
/// Where it is not NULL, there must be room for one.
pub(super) unsafe fn give<T>(to: *mut T, value: T, what: &str) -> Result<(), Error> {
    check(to, 1, what)?;
    // SAFETY: neither NULL nor out of line; the room is the caller's promise.
    unsafe { to.write(value) };
    Ok(())
}

/// A structure whose first field says how much of it the caller knows: the rest of it is as in `default`.
///
/// # Safety
///
/// Where it is not NULL, as many bytes must stand there as its first field, a `size_t`, says. `T` must be
/// `repr(C)`, begin with that field, and be valid of whatever bytes C puts there.
pub(super) unsafe fn sized<T: Copy>(from: *const T, default: T, what: &str) -> Result<T, Error> {
    check(from, 1, what)?;
    // SAFETY: at least this field stands there, by the caller's promise.
    let size = unsafe { from.cast::<usize>().read() };
    check_size(size, size_of::<T>(), what)?;
    let mut value = default;
    let known = size.min(size_of::<T>());
    // SAFETY: so many bytes stand there, and there is room for as many; every mixture of both is valid.
    unsafe {
        std::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut value).cast(), known);
    }
    Ok(value)
}

/// Gives the caller as much of a structure as it knows of.
///
/// # Safety
///
/// As [`sized`], and the bytes must be the caller's to write.
pub(super) unsafe fn give_sized<T: Copy>(to: *mut T, value: &T, what: &str) -> Result<(), Error> {
    check(to, 1, what)?;
    // SAFETY: at least this field stands there, by the caller's promise.
    let size = unsafe { to.cast::<usize>().read() };
    check_size(size, size_of::<T>(), what)?;
    let known = size.min(size_of::<T>()) - size_of::<usize>();
    let from = std::ptr::from_ref(value).cast::<usize>().wrapping_add(1);
    let to = to.cast::<usize>().wrapping_add(1);
    // SAFETY: so many bytes behind the size stand there on both sides.
    unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast(), known) };
    Ok(())
}

fn check_size(size: usize, ours: usize, what: &str) -> Result<(), Error> {
    // No structure grows to this; a size that was forgotten is 0 or chance.
    const MOST: usize = 4096;
    if size < size_of::<usize>() || size > MOST {
        let text = format!(
            "the size of {what} is {size}; sizeof, which is {ours} here, was to stand there"
        );
        return Err(refused(text));
    }
    Ok(())
}

/// Fields of a head.
///
/// # Safety
///
/// As [`values`], for the fields and for the bytes of each.
pub(super) unsafe fn fields(from: *const Field, count: usize) -> Result<HeaderMap, Error> {
    // SAFETY: the caller's promise.
    let given = unsafe { values(from, count, "the array of fields") }?;
    let mut fields = HeaderMap::with_capacity(given.len());
    for (at, field) in given.iter().enumerate() {
        // SAFETY: the caller's promise.
        let name = unsafe { values(field.name.cast::<u8>(), field.name_length, "a field's name") }?;
        // SAFETY: the caller's promise.
        let value = unsafe {
            values(
                field.value.cast::<u8>(),
                field.value_length,
                "a field's value",
            )
        }?;
        let name = HeaderName::from_bytes(name)
            .map_err(|_| refused(format!("field {at} has no valid name")))?;
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| refused(format!("field {at}, {name}, has no valid value")))?;
        fields
            .try_append(name, value)
            .map_err(|_| refused("more fields than a head can have"))?;
    }
    Ok(fields)
}

/// A file that the caller keeps open: a descriptor of our own for it.
pub(super) fn file(descriptor: RawFd) -> Result<File, Error> {
    if descriptor < 0 {
        return Err(refused(format!("{descriptor} is no descriptor")));
    }
    // SAFETY: it is not -1, and borrowed for the call below alone, which is what finds out whether it is one.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(descriptor.try_clone_to_owned()?.into())
}
