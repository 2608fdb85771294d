//! Addresses of sockets in the file system, as a destination's `Address` has them: `http://unix:/path`,
//! and a base path behind a further colon.

/// The path of the socket, and the address without it: of `localhost`, with the base path. `None` where
/// the address is another.
///
/// ```
/// # use ostler_config::socket_address::split;
/// let (socket, base) = split("http://unix:/run/app.sock:/api").unwrap();
/// assert_eq!((socket, base.as_str()), ("/run/app.sock", "http://localhost/api"));
/// assert!(split("http://unix/run/app.sock").is_none());
/// ```
pub fn split(address: &str) -> Option<(&str, String)> {
    let (scheme, rest) = address.split_once("://")?;
    let path = rest
        .strip_prefix("unix:")
        .filter(|path| path.starts_with('/'))?;
    let (socket, base) = path.split_once(':').unwrap_or((path, ""));
    Some((socket, format!("{scheme}://localhost{base}")))
}
