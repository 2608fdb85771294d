//! Connecting to a program.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::listening::Address;

/// A connection, of either family.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// As hyper takes it.
pub(super) type Connection = TokioIo<Box<dyn Socket>>;

/// Connects to where the program listens.
pub(super) async fn connect(address: &Address) -> io::Result<Connection> {
    let socket: Box<dyn Socket> = match address {
        Address::Port(port) => Box::new(connect_to_port(*port).await?),
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Passed(socket) => {
            // What it leads to is the socket itself, whose path is gone.
            let path = PathBuf::from(format!("/proc/self/fd/{}", socket.as_raw_fd()));
            Box::new(UnixStream::connect(path).await?)
        }
    };
    Ok(TokioIo::new(socket))
}

async fn connect_to_port(port: u16) -> io::Result<TcpStream> {
    let connected = match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(connected) => connected,
        Err(refused) => TcpStream::connect((Ipv6Addr::LOCALHOST, port))
            .await
            // Of a host without IPv6 the first error says more.
            .map_err(|_| refused)?,
    };
    connected.set_nodelay(true)?;
    Ok(connected)
}
