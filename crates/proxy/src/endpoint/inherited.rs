//! Sockets that are listened on already when an endpoint begins: the service manager's, those of a front
//! that is replaced, those of an endpoint that ends.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::net::{SocketAddrUnix, SocketType, getsockname, sockopt};

use super::sockets::{Bound, ListenAddress};
use super::unix::SocketFile;
use super::{Endpoint, ListenUrl, Place};

/// Where a listening socket is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SocketOrigin {
    /// What the service manager calls it.
    pub name: Option<String>,
    /// The URL for which a front has bound it.
    pub url: Option<String>,
    /// Whether the service manager keeps it open, so that what waits on it outlives each process that
    /// accepts from it.
    pub is_kept: bool,
}

impl SocketOrigin {
    /// A front has bound it for this URL.
    pub(super) fn url(url: &str) -> Self {
        Self {
            url: Some(url.to_owned()),
            ..Self::default()
        }
    }
}

/// Sockets that are listened on, for endpoints to take.
#[derive(Debug, Default)]
pub struct InheritedSockets(Vec<Inherited>);

#[derive(Debug)]
struct Inherited {
    socket: OwnedFd,
    address: Address,
    origin: SocketOrigin,
    /// The socket's file, where it is this process' own.
    file: Option<SocketFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Tcp {
        address: SocketAddr,
        /// It takes clients of IPv4, too.
        is_dual: bool,
    },
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, .. } => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl InheritedSockets {
    /// Adds a socket, which from now on does not block.
    ///
    /// # Errors
    ///
    /// When it is none that connections of HTTP can be accepted from; the message says what it is.
    pub fn add(&mut self, socket: OwnedFd, origin: SocketOrigin) -> io::Result<()> {
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text);
        if sockopt::socket_type(&socket)? != SocketType::STREAM {
            return Err(invalid("it is no stream socket"));
        }
        if !sockopt::socket_acceptconn(&socket)? {
            return Err(invalid(
                "it is a connection, not a socket that is listened on",
            ));
        }
        let address =
            address(&socket)?.ok_or_else(|| invalid("it is neither of TCP nor a path"))?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        self.0.push(Inherited {
            socket,
            address,
            origin,
            file: None,
        });
        Ok(())
    }

    /// Adds the sockets of an endpoint that ends.
    pub(crate) fn add_bound(&mut self, bound: Bound) -> io::Result<()> {
        for socket in bound.sockets {
            self.add(socket, bound.origin.clone())?;
        }
        if let ListenAddress::Unix(file) = bound.address
            && let Some(added) = self.0.last_mut()
        {
            added.file = Some(file);
        }
        Ok(())
    }

    /// Takes out what is an endpoint's: by its name, else by its addresses.
    pub(crate) fn claim(&mut self, endpoint: &Endpoint) -> Claim {
        let named = |one: &Inherited| {
            let names = one.origin.name.as_deref().zip(endpoint.name.as_deref());
            names.is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
        };
        let named = self.take(named);
        let found = match &endpoint.url.place {
            _ if !named.is_empty() => Vec::new(),
            Place::Unix(path) => vec![self.take_at(&Address::Unix(path.clone())).into()],
            Place::Tcp { addresses, .. } => self.take_all(&endpoint.url, addresses),
        };
        Claim {
            url: endpoint.url.clone(),
            named: by_address(named),
            found,
        }
    }

    fn take_all(&mut self, url: &ListenUrl, wanted: &[SocketAddr]) -> Vec<Found> {
        let is_covered: Vec<_> = wanted
            .iter()
            .map(|address| self.is_covered(*address, wanted))
            .collect();
        let each = wanted.iter().zip(is_covered);
        each.map(|(address, is_covered)| match is_covered {
            true => Found::Covered,
            false => self.take_tcp(url, *address).into(),
        })
        .collect()
    }

    /// Whether clients of all addresses of IPv4 come to a socket of IPv6 that is wanted as well.
    fn is_covered(&self, address: SocketAddr, wanted: &[SocketAddr]) -> bool {
        let dual = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
        let covers = Address::Tcp {
            address: dual,
            is_dual: true,
        };
        address.ip() == Ipv4Addr::UNSPECIFIED
            && wanted.contains(&dual)
            && self.0.iter().any(|one| one.address == covers)
    }

    fn take_tcp(&mut self, url: &ListenUrl, wanted: SocketAddr) -> Option<Bound> {
        let is_wanted = |one: &&Inherited| match one.address {
            // Any port is this URL's own of before.
            Address::Tcp { address, .. } if wanted.port() == 0 => {
                address.ip() == wanted.ip() && one.origin.url.as_deref() == Some(url.as_str())
            }
            Address::Tcp { address, .. } => address == wanted,
            Address::Unix(_) => false,
        };
        let address = self.0.iter().find(is_wanted)?.address.clone();
        self.take_at(&address)
    }

    fn take_at(&mut self, address: &Address) -> Option<Bound> {
        by_address(self.take(|one| one.address == *address)).pop()
    }

    fn take(&mut self, which: impl Fn(&Inherited) -> bool) -> Vec<Inherited> {
        self.0.extract_if(.., |one| which(one)).collect()
    }

    /// Whether a front that is about to end listens on a port.
    fn have_port(&self, wanted: u16) -> bool {
        self.0.iter().any(|one| match one.address {
            Address::Tcp { address, .. } => address.port() == wanted && !one.origin.is_kept,
            Address::Unix(_) => false,
        })
    }

    /// Says in the log which of the service manager's sockets nobody has taken: clients that connect to
    /// them wait for an answer that does not come.
    pub(crate) fn warn_of_kept(&self) {
        for one in self.0.iter().filter(|one| one.origin.is_kept) {
            let name = one.origin.name.as_deref().unwrap_or_default();
            tracing::warn!(
                address = %one.address,
                name,
                "the service manager passes a socket that no endpoint is for, by name or address: its \
                 clients get no answer; name it in Kestrel:Endpoints or Urls, or take it out of the \
                 socket unit"
            );
        }
    }
}

/// What of an endpoint is listened on already.
#[derive(Debug)]
pub(crate) struct Claim {
    url: ListenUrl,
    /// All there is to the endpoint, if any.
    named: Vec<Bound>,
    /// For each address of the URL.
    found: Vec<Found>,
}

/// What there is of one address.
#[derive(Debug)]
enum Found {
    Bound(Bound),
    /// Its clients come to the socket of another one.
    Covered,
    Missing,
}

impl From<Option<Bound>> for Found {
    fn from(bound: Option<Bound>) -> Self {
        bound.map_or(Self::Missing, Self::Bound)
    }
}

impl Claim {
    /// Listens on what is missing, for so many threads. `left` are sockets that no endpoint has claimed.
    pub(crate) fn complete(
        self,
        threads: usize,
        left: &InheritedSockets,
    ) -> io::Result<Vec<Bound>> {
        let Self { url, named, found } = self;
        if !named.is_empty() {
            return Ok(named);
        }
        match &url.place {
            Place::Unix(path) => match found.into_iter().next() {
                Some(Found::Bound(bound)) => Ok(vec![bound]),
                _ => Bound::unix(path, &url.text)
                    .map(|bound| vec![bound])
                    .map_err(|error| Cause::of(&url, &path.display(), error)),
            },
            Place::Tcp {
                addresses,
                optional_second,
            } => Addresses {
                url: &url,
                addresses,
                optional_second: *optional_second,
                threads,
                left,
            }
            .listen(found),
        }
    }
}

/// The addresses of TCP of one URL.
struct Addresses<'u> {
    url: &'u ListenUrl,
    addresses: &'u [SocketAddr],
    optional_second: bool,
    threads: usize,
    left: &'u InheritedSockets,
}

impl Addresses<'_> {
    fn listen(&self, found: Vec<Found>) -> io::Result<Vec<Bound>> {
        // Of port 0 the first address gets any, which may be taken in the second's family.
        const TRIES: usize = 10;
        let is_any = self.addresses.iter().all(|address| address.port() == 0);
        if is_any && found.iter().all(|one| matches!(one, Found::Missing)) {
            for _ in 1..TRIES {
                match self.listen_once(Vec::new()) {
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    listened => return listened,
                }
            }
        }
        self.listen_once(found)
    }

    fn listen_once(&self, found: Vec<Found>) -> io::Result<Vec<Bound>> {
        let mut found = found.into_iter();
        let mut bound: Vec<Bound> = Vec::new();
        for address in self.addresses {
            let mut address = *address;
            if let Some(ListenAddress::Tcp(first)) = bound.first().map(|bound| &bound.address) {
                address.set_port(first.port());
            }
            match found.next().unwrap_or(Found::Missing) {
                Found::Covered => {}
                Found::Bound(mut there) => {
                    // Threads share what there is, if no more can be had.
                    if let Err(error) = there.top_up(self.threads) {
                        tracing::debug!(%address, %error, "threads share a socket");
                    }
                    bound.push(there);
                }
                Found::Missing => match self.bind(address) {
                    Ok(new) => bound.push(new),
                    Err(error) if self.may_miss(&bound, &error) => {
                        tracing::debug!(%address, %error, "the second address is not listened on");
                        break;
                    }
                    Err(error) => return Err(Cause::of(self.url, &address, error)),
                },
            }
        }
        Ok(bound)
    }

    fn bind(&self, address: SocketAddr) -> io::Result<Bound> {
        let is_overlapped = self.left.have_port(address.port());
        Bound::tcp(address, self.threads, is_overlapped, &self.url.text)
    }

    fn may_miss(&self, bound: &[Bound], error: &io::Error) -> bool {
        !bound.is_empty() && self.optional_second && error.kind() != io::ErrorKind::AddrInUse
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{text}: {error}")]
struct Cause {
    text: String,
    error: io::Error,
}

impl Cause {
    fn of(url: &ListenUrl, at: &dyn fmt::Display, error: io::Error) -> io::Error {
        let text = format!("cannot listen on {} ({at})", url.text);
        io::Error::new(error.kind(), Self { text, error })
    }
}

/// Where a socket listens; `None` for a kind of address that no URL has.
fn address(socket: &OwnedFd) -> io::Result<Option<Address>> {
    let address = getsockname(socket)?;
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        let is_dual = address.is_ipv6() && !sockopt::ipv6_v6only(socket)?;
        return Ok(Some(Address::Tcp { address, is_dual }));
    }
    let path = SocketAddrUnix::try_from(address).ok();
    let path = path.as_ref().and_then(SocketAddrUnix::path_bytes);
    // One without a file begins with a zero, and is no path here.
    Ok(path.map(|path| Address::Unix(OsStr::from_bytes(path).into())))
}

/// Sockets that listen at one address are one address' sockets.
fn by_address(sockets: Vec<Inherited>) -> Vec<Bound> {
    let mut addresses: Vec<(Address, Bound)> = Vec::new();
    for one in sockets {
        if let Some((_, bound)) = addresses.iter_mut().find(|(at, _)| *at == one.address) {
            bound.sockets.push(one.socket);
            continue;
        }
        let address = match (&one.address, one.file) {
            (Address::Tcp { address, .. }, _) => ListenAddress::Tcp(*address),
            (Address::Unix(_), Some(file)) => ListenAddress::Unix(file),
            (Address::Unix(path), None) => ListenAddress::Unix(SocketFile::of_another(path)),
        };
        let bound = Bound::new(address, vec![one.socket], one.origin);
        addresses.push((one.address, bound));
    }
    addresses.into_iter().map(|(_, bound)| bound).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn endpoint(name: Option<&str>, url: &str) -> Endpoint {
        Endpoint {
            name: name.map(str::to_owned),
            ..Endpoint::clear(ListenUrl::parse(url).unwrap())
        }
    }

    /// Listens on one endpoint, with what there is.
    fn listen(endpoint: &Endpoint, inherited: &mut InheritedSockets) -> io::Result<Vec<Bound>> {
        inherited.claim(endpoint).complete(2, inherited)
    }

    fn bind(url: &str, threads: usize) -> io::Result<Vec<Bound>> {
        let mut none = InheritedSockets::default();
        none.claim(&endpoint(None, url)).complete(threads, &none)
    }

    fn kept(name: &str) -> SocketOrigin {
        SocketOrigin {
            name: Some(name.to_owned()),
            is_kept: true,
            ..SocketOrigin::default()
        }
    }

    fn listener(address: &str) -> (OwnedFd, SocketAddr) {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        (listener.into(), address)
    }

    fn addresses(bound: &[Bound]) -> Vec<String> {
        bound.iter().map(|one| one.address.to_string()).collect()
    }

    #[test]
    fn a_port_that_is_taken_in_one_family_is_an_error_and_another_is_picked_for_0() {
        let taken = TcpListener::bind("[::1]:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind(&format!("http://localhost:{port}"), 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&format!("[::1]:{port}")));
        assert_eq!(bind("http://localhost:0", 2).unwrap().len(), 2);
    }

    #[test]
    fn a_path_is_one_socket_for_all_threads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let url = format!("http://unix:{}", path.display());
        let bound = bind(&url, 3).unwrap();
        let shares = bound[0].share_out(3).unwrap();
        assert!(shares.iter().all(|share| share.len() == 1));
        assert_eq!(addresses(&bound), [format!("unix:{}", path.display())]);
        assert!(bind(&url, 1).unwrap_err().to_string().contains("http.sock"));
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn no_socket_is_without_a_thread_and_no_thread_without_a_socket() {
        let bound = bind("http://127.0.0.1:0", 3).unwrap();
        let counts = |threads| {
            let shares = bound[0].share_out(threads).unwrap();
            shares.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(counts(1), [3]);
        assert_eq!(counts(2), [2, 1]);
        assert_eq!(counts(3), [1, 1, 1]);
        assert_eq!(counts(4), [1, 1, 1, 1]);
    }

    #[test]
    fn a_socket_is_its_name_s_before_it_is_its_address_s() {
        let mut inherited = InheritedSockets::default();
        let (one, named_at) = listener("127.0.0.1:0");
        let (other, at) = listener("127.0.0.1:0");
        inherited.add(one, kept("Web")).unwrap();
        inherited.add(other, kept("ostler.socket")).unwrap();
        let by_name = endpoint(Some("web"), "http://127.0.0.1:1");
        let bound = listen(&by_name, &mut inherited).unwrap();
        assert_eq!(addresses(&bound), [named_at.to_string()]);
        let by_address = endpoint(Some("api"), &format!("http://{at}"));
        let bound = listen(&by_address, &mut inherited).unwrap();
        assert_eq!(addresses(&bound), [at.to_string()]);
        assert_eq!(bound[0].sockets.len(), 1, "all would be lost with this one");
        assert!(inherited.0.is_empty());
    }

    #[test]
    fn a_socket_for_both_families_is_all_addresses() {
        let (socket, at) = listener("[::]:0");
        let mut inherited = InheritedSockets::default();
        inherited.add(socket, kept("")).unwrap();
        let all = endpoint(None, &format!("http://*:{}", at.port()));
        let bound = listen(&all, &mut inherited).unwrap();
        assert_eq!(addresses(&bound), [at.to_string()]);
    }

    #[test]
    fn what_a_front_bound_for_any_port_is_that_url_s_with_a_socket_for_each_thread() {
        let before = bind("http://127.0.0.1:0", 1).unwrap();
        let at = addresses(&before);
        let mut inherited = InheritedSockets::default();
        for bound in before {
            inherited.add_bound(bound).unwrap();
        }
        let other = listen(&endpoint(None, "https://127.0.0.1:0"), &mut inherited).unwrap();
        assert_ne!(addresses(&other), at);
        let again = listen(&endpoint(None, "http://127.0.0.1:0"), &mut inherited).unwrap();
        assert_eq!(addresses(&again), at);
        assert_eq!(again[0].sockets.len(), 2);
    }

    #[test]
    fn an_address_may_overlap_those_of_a_front_that_ends_and_no_others() {
        let before = bind("http://0.0.0.0:0", 1).unwrap().remove(0);
        let ListenAddress::Tcp(at) = before.address else {
            unreachable!("it is an address of TCP");
        };
        let narrower = endpoint(None, &format!("http://127.0.0.1:{}", at.port()));
        let mut inherited = InheritedSockets::default();
        let error = listen(&narrower, &mut inherited).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        inherited.add_bound(before).unwrap();
        assert!(listen(&narrower, &mut inherited).is_ok());
    }

    #[test]
    fn the_file_of_a_socket_goes_with_the_last_who_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let url = format!("http://unix:{}", path.display());
        let before = bind(&url, 1).unwrap().remove(0);
        let mut inherited = InheritedSockets::default();
        for socket in before.copies().unwrap() {
            inherited.add(socket, before.origin().clone()).unwrap();
        }
        let after = listen(&endpoint(None, &url), &mut inherited).unwrap();
        before.hand_over();
        drop(before);
        assert!(UnixStream::connect(&path).is_ok());
        after[0].take_over();
        drop(after);
        assert!(!path.exists());
    }

    #[test]
    fn the_file_of_a_socket_stays_with_its_endpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let url = format!("http://unix:{}", path.display());
        let mut inherited = InheritedSockets::default();
        inherited
            .add_bound(bind(&url, 1).unwrap().remove(0))
            .unwrap();
        let again = listen(&endpoint(None, &url), &mut inherited).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(again);
        assert!(!path.exists());
    }

    #[test]
    fn what_nobody_can_connect_to_is_refused() {
        let refused = |socket: OwnedFd| {
            let mut inherited = InheritedSockets::default();
            let error = inherited.add(socket, SocketOrigin::default());
            error.unwrap_err().to_string()
        };
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::SocketAddr;
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(refused(datagrams.into()).contains("no stream socket"));
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(refused(one.into()).contains("a connection"));
        let name = SocketAddr::from_abstract_name(b"ostler-test-inherited");
        let nameless = UnixListener::bind_addr(&name.unwrap()).unwrap();
        assert!(refused(nameless.into()).contains("neither of TCP nor a path"));
    }
}
