//! Bytes of another process as ring entries: what is accepted is within the entry, reads as a head
//! or is refused, and a completion crosses again unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_delegation::entry::{Completed, FrontEntry, directives};
use ostler_http1::{RequestHead, ResponseTransforms};

fuzz_target!(|input: &[u8]| {
    let mut fields = Vec::new();
    if let Ok(FrontEntry::Request(_, request, lease)) =
        FrontEntry::decode(&mut input.to_vec(), &mut fields)
    {
        let named: usize = [
            request.head.raw,
            request.prefix,
            request.directives,
            request.transforms,
        ]
        .iter()
        .map(|part| part.len())
        .sum();
        assert!(named < input.len());
        let told = directives(request.directives)
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
        assert!(told <= request.directives.len());
        if !request.transforms.is_empty() {
            ResponseTransforms::decode(request.transforms).expect("they have been checked");
        }
        if let Ok(head) = RequestHead::from_parts(request.head) {
            // What a target asks of a head.
            let _ = (head.method(), head.path(), head.query(), head.authority());
            let _ = (head.framing(), head.upgrade(), head.keep_alive());
            assert!(head.raw().len() <= input.len());
            if let Some(lease) = lease {
                let _ = lease.predicate.holds(&head);
            }
        }
    }
    if let Ok(completed) = Completed::decode(input) {
        assert!(completed.leftover.len() <= Completed::MAX_LEFTOVER);
        let mut again = Vec::new();
        completed.encode(&mut again);
        assert_eq!(again.len(), input.len());
        assert_eq!(Completed::decode(&again), Ok(completed));
    }
});
