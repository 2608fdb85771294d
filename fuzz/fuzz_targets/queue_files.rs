//! The files of a queue's folder, which its users write: what is read is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_delegation::QueueProperties;
use ostler_delegation::runtime::InstanceDescription;

fuzz_target!(|input: &[u8]| {
    if let Ok(properties) = serde_json::from_slice::<QueueProperties>(input) {
        let _ = properties.wait_timeout();
        let written = serde_json::to_vec(&properties).expect("it is plain data");
        let again: QueueProperties = serde_json::from_slice(&written).expect("it was written");
        assert_eq!(format!("{again:?}"), format!("{properties:?}"));
    }
    if let Ok(instance) = serde_json::from_slice::<InstanceDescription>(input) {
        let written = serde_json::to_vec(&instance).expect("it is plain data");
        let again: InstanceDescription = serde_json::from_slice(&written).expect("it was written");
        assert_eq!(format!("{again:?}"), format!("{instance:?}"));
    }
});
