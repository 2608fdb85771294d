//! Packets of another process on a control socket, and the field of a relayed request: what is
//! accepted crosses again unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_delegation::control::{FrontMessage, TargetMessage};
use ostler_delegation::relayed_client::RelayedClient;

fuzz_target!(|input: &[u8]| {
    if let Ok(message) = FrontMessage::decode(input) {
        assert_eq!(FrontMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(message) = TargetMessage::decode(input) {
        assert_eq!(TargetMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(client) = RelayedClient::decode(input) {
        assert_eq!(
            RelayedClient::decode(client.encode().as_bytes()),
            Ok(client)
        );
    }
});
