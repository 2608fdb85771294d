//! Socket addresses on the wire: 24 bytes each.
//!
//! ```text
//! 0  u8   family: 4, 6, or 0 for none (a Unix socket, say)
//! 1  u8   zero
//! 2  u16  port
//! 4  u32  IPv6 scope
//! 8  [16] IPv4 address in the first four bytes, or the IPv6 address
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::error::WireError;
use crate::wire::{Put, Reader};

/// Appends an address.
pub(crate) fn put(out: &mut Vec<u8>, address: Option<SocketAddr>) {
    let mut bytes = [0; 16];
    let (family, scope) = match address.map(|address| (address, address.ip())) {
        None => (0, 0),
        Some((_, IpAddr::V4(ip))) => {
            bytes[..4].copy_from_slice(&ip.octets());
            (4, 0)
        }
        Some((address, IpAddr::V6(ip))) => {
            bytes = ip.octets();
            let SocketAddr::V6(address) = address else {
                unreachable!("the address is IPv6")
            };
            (6, address.scope_id())
        }
    };
    out.put_u8(family);
    out.put_u8(0);
    out.put_u16(address.map_or(0, |address| address.port()));
    out.put_u32(scope);
    out.put(&bytes);
}

/// Reads an address.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<SocketAddr>, WireError> {
    let family = reader.u8()?;
    let _zero = reader.u8()?;
    let port = reader.u16()?;
    let scope = reader.u32()?;
    let bytes = reader.bytes(16)?;
    match family {
        0 => Ok(None),
        4 => {
            let octets = [bytes[0], bytes[1], bytes[2], bytes[3]];
            Ok(Some(SocketAddr::new(Ipv4Addr::from(octets).into(), port)))
        }
        6 => {
            let octets: [u8; 16] = bytes.try_into().map_err(|_| WireError::Short("address"))?;
            Ok(Some(
                SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope).into(),
            ))
        }
        _ => Err(WireError::Invalid("address family")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for address in [
            None,
            Some("192.0.2.7:4711"),
            Some("[2001:db8::7]:80"),
            Some("[fe80::1%3]:1"),
        ] {
            let address = address.map(|text| text.parse().expect("a socket address"));
            let mut bytes = Vec::new();
            put(&mut bytes, address);
            assert_eq!(bytes.len(), 24);
            assert_eq!(read(&mut Reader::new(&bytes, "address")), Ok(address));
        }
    }

    #[test]
    fn refuses_unknown_families() {
        let mut bytes = [0; 24];
        bytes[0] = 7;
        assert!(read(&mut Reader::new(&bytes, "address")).is_err());
    }
}
