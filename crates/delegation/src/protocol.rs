//! Versions of the wire.

/// Version of the wire: control messages, ring entries, region layout. Both ends must agree.
pub const PROTOCOL_VERSION: u16 = 3;

/// What this end speaks beyond that version's first form: 1 is response transforms in request
/// entries, 2 is relayed requests that say whose they are, 3 is streams, 4 is requests of forwarded
/// clients, 5 is leases. A channel speaks the lower of its two ends' numbers.
pub const PROTOCOL_MINOR: u8 = 5;

/// From this minor version on, request entries may carry response transforms.
pub const RESPONSE_TRANSFORMS_MINOR: u8 = 1;

/// From this minor version on, relayed connections carry requests of any client, and each request
/// says whose it is.
pub const SHARED_RELAY_MINOR: u8 = 2;

/// From this minor version on, exchanges may be streams, whose bytes travel in the rings.
pub const STREAMS_MINOR: u8 = 3;

/// From this minor version on, a request may say that its client is another than its connection's, and
/// has asked by another scheme: what something that stands before the front says of it.
pub const FORWARDED_CLIENTS_MINOR: u8 = 4;

/// From this minor version on, a target may be let read the next requests of a connection itself.
pub const LEASES_MINOR: u8 = 5;
