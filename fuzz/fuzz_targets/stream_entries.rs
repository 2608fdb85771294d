//! Bytes of another process as entries of streams: what is accepted is within the entry, and made of
//! fields and lengths that hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_delegation::entry::FrontEntry;
use ostler_delegation::stream_entry::{BodyEntry, TargetEntry};
use ostler_http1::RequestHead;

fuzz_target!(|input: &[u8]| {
    match TargetEntry::decode(&mut input.to_vec()) {
        Ok(TargetEntry::Head(_, head)) => {
            let is_interim = head.status < 200 && head.status != 101;
            assert!((100..1000).contains(&head.status));
            assert!(!is_interim || (head.data.is_empty() && !head.is_last));
            let fields: usize = head
                .fields
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len())
                .sum();
            assert!(fields + head.data.len() < input.len());
        }
        Ok(TargetEntry::Body(_, body)) => check(&body, input),
        Ok(TargetEntry::Told(told)) => assert!(told.leftover.len() < input.len()),
        Ok(TargetEntry::Completed(_) | TargetEntry::Stop(_)) | Err(_) => {}
    }
    let (mut entry, mut fields) = (input.to_vec(), Vec::new());
    match FrontEntry::decode(&mut entry, &mut fields) {
        Ok(FrontEntry::Body(_, body)) => check(&body, input),
        Ok(FrontEntry::Stream(_, stream)) => {
            let request = &stream.request;
            let named: usize = [request.head.raw, request.prefix, request.directives]
                .iter()
                .map(|part| part.len())
                .sum();
            assert!(named < input.len());
            if let Ok(head) = RequestHead::from_parts(request.head) {
                assert!(head.raw().len() <= input.len());
            }
        }
        _ => {}
    }
});

fn check(body: &BodyEntry, input: &[u8]) {
    match body {
        BodyEntry::Data { data, is_last } => {
            assert!(*is_last || !data.is_empty());
            assert!(data.len() < input.len());
        }
        BodyEntry::Trailers(fields) => assert!(fields.len() < input.len()),
        BodyEntry::Credit(_) => {}
    }
}
