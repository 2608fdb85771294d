//! What a region is, and which descriptors are refused as one.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, ftruncate, memfd_create,
};
use rustix::io::{Errno, pwrite};

use super::*;

const SPEC: RegionSpec = RegionSpec {
    ring_capacity: 4096,
    slots: 300,
};
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::FUTURE_WRITE)
    .union(SealFlags::SEAL);

fn length() -> u64 {
    layout::region_length(SPEC) as u64
}

fn duplicate(region: &OwnRegion) -> OwnedFd {
    region.descriptor().try_clone_to_owned().unwrap()
}

/// A memfd with a region's header, any words of which may be wrong, and any seals.
fn forged(length: u64, words: &[(Field, u64)], seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd = memfd_create("forged", flags).unwrap();
    ftruncate(&memfd, length).unwrap();
    let right = [
        (Field::Magic, layout::MAGIC),
        (Field::Version, layout::VERSION),
        (Field::RegionLength, length),
        (Field::RingCapacity, SPEC.ring_capacity as u64),
        (Field::Slots, SPEC.slots as u64),
    ];
    for (field, value) in right.iter().chain(words) {
        pwrite(&memfd, &value.to_ne_bytes(), *field as u64 * 8).unwrap();
    }
    fcntl_add_seals(&memfd, seals).unwrap();
    memfd
}

#[test]
fn refuses_specs_out_of_range() {
    for (ring_capacity, slots) in [
        (0, 1),
        (2048, 1),
        (4097, 1),
        (12 << 10, 1),
        (128 << 20, 1),
        (usize::MAX, 1),
        (4096, 0),
        (4096, (1 << 20) + 1),
        (4096, usize::MAX),
    ] {
        let refused = OwnRegion::create(
            "test",
            RegionSpec {
                ring_capacity,
                slots,
            },
        );
        assert!(
            matches!(refused, Err(RegionError::Spec { .. })),
            "{ring_capacity} {slots}"
        );
    }
    for (ring_capacity, slots) in [(4096, 1), (4096, 1 << 20), (64 << 20, 1)] {
        let spec = RegionSpec {
            ring_capacity,
            slots,
        };
        let own = OwnRegion::create("test", spec).unwrap();
        let peer = PeerRegion::map(duplicate(&own)).unwrap();
        assert_eq!((own.spec(), peer.spec()), (spec, spec));
    }
}

#[test]
fn slots_are_seen_by_the_peer_and_end_where_the_spec_says() {
    let own = OwnRegion::create("test", SPEC).unwrap();
    let mapped = PeerRegion::map(duplicate(&own)).unwrap();
    let heap = OwnRegion::heap(SPEC);
    for (own, peer) in [(own, mapped), (Arc::clone(&heap), heap.peer_view())] {
        for slot in [0, 1, 299] {
            assert_eq!(peer.slot(slot), 0);
            own.set_slot(slot, 200);
            assert_eq!((own.slot(slot), peer.slot(slot)), (200, 200));
        }
        for slot in [300, 511, 4096, usize::MAX] {
            own.set_slot(slot, 200);
            assert_eq!((own.slot(slot), peer.slot(slot)), (0, 0));
        }
        assert_eq!(peer.slot(2), 0);
    }
}

#[test]
fn a_peer_cannot_write_shrink_grow_or_unseal() {
    let own = OwnRegion::create("test", SPEC).unwrap();
    let received = duplicate(&own);
    let sealed = SizeSealed::of_peer(received.as_fd()).unwrap();
    let mapped = Mapping::new(&sealed, Access::ReadWrite);
    assert_eq!(
        mapped.err().unwrap().kind(),
        std::io::ErrorKind::PermissionDenied
    );
    assert_eq!(pwrite(&received, &[1], 0).unwrap_err(), Errno::PERM);
    assert_eq!(ftruncate(&received, 4096).unwrap_err(), Errno::PERM);
    assert_eq!(
        ftruncate(&received, length() + 4096).unwrap_err(),
        Errno::PERM
    );
    assert!(fcntl_get_seals(&received).unwrap().contains(SEALS));
    // What it may: read.
    assert_eq!(PeerRegion::map(received).unwrap().spec(), SPEC);
}

#[test]
fn refuses_descriptors_that_are_no_memfd() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(length()).unwrap();
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    for descriptor in [
        file.into(),
        socket.into(),
        File::open("/dev/zero").unwrap().into(),
    ] {
        let refused = PeerRegion::map(descriptor);
        assert!(matches!(
            refused,
            Err(RegionError::NotMemfd | RegionError::NotSealed)
        ));
    }
}

#[test]
fn refuses_memfds_that_lack_a_seal() {
    for missing in [SealFlags::SHRINK, SealFlags::GROW, SealFlags::FUTURE_WRITE] {
        let refused = PeerRegion::map(forged(length(), &[], SEALS - missing));
        assert!(
            matches!(refused, Err(RegionError::NotSealed)),
            "{missing:?}"
        );
    }
    // No writer at all is as good as no further ones, and more may be sealed.
    for seals in [
        SEALS,
        SEALS | SealFlags::WRITE,
        (SEALS | SealFlags::WRITE) - SealFlags::SEAL,
    ] {
        assert_eq!(
            PeerRegion::map(forged(length(), &[], seals))
                .unwrap()
                .spec(),
            SPEC
        );
    }
}

#[test]
fn refuses_lengths_that_do_not_fit_the_header() {
    for wrong in [
        0x200,
        4096,
        length() - 8,
        length() - 1,
        length() + 1,
        length() + 4096,
    ] {
        let refused = PeerRegion::map(forged(wrong.max(0x200), &[], SEALS));
        assert!(
            matches!(refused, Err(RegionError::Length { .. })),
            "{wrong}"
        );
    }
    let empty = memfd_create("empty", MemfdFlags::ALLOW_SEALING).unwrap();
    fcntl_add_seals(&empty, SEALS).unwrap();
    assert!(matches!(
        PeerRegion::map(empty),
        Err(RegionError::Length { length: 0 })
    ));
    // Sparse, so it costs nothing to offer; it would cost address space to map.
    let huge = forged(1 << 40, &[], SEALS);
    assert!(matches!(
        PeerRegion::map(huge),
        Err(RegionError::Length { .. })
    ));
}

#[test]
fn refuses_headers_that_are_no_region_s() {
    for (field, value) in [(Field::Magic, 0), (Field::Version, 0), (Field::Version, 2)] {
        let refused = PeerRegion::map(forged(length(), &[(field, value)], SEALS));
        assert!(
            matches!(refused, Err(RegionError::NotRegion)),
            "{field:?} {value}"
        );
    }
    for (field, value) in [
        (Field::RingCapacity, 0),
        (Field::RingCapacity, 4095),
        (Field::RingCapacity, 1 << 63),
        (Field::RingCapacity, u64::MAX),
        (Field::Slots, 0),
        (Field::Slots, (1 << 20) + 1),
        (Field::Slots, u64::MAX),
    ] {
        let refused = PeerRegion::map(forged(length(), &[(field, value)], SEALS));
        assert!(
            matches!(refused, Err(RegionError::Spec { .. })),
            "{field:?} {value}"
        );
    }
    for (field, value) in [
        (Field::RingCapacity, 8192),
        (Field::Slots, 1 << 20),
        (Field::RegionLength, 0),
        (Field::RegionLength, u64::MAX),
    ] {
        let refused = PeerRegion::map(forged(length(), &[(field, value)], SEALS));
        assert!(
            matches!(refused, Err(RegionError::Length { .. })),
            "{field:?} {value}"
        );
    }
}

#[test]
fn the_mapping_outlives_the_creator_s_descriptor() {
    let own = OwnRegion::create("test", SPEC).unwrap();
    own.set_slot(5, 6);
    let peer = PeerRegion::map(duplicate(&own)).unwrap();
    drop(own);
    assert_eq!(peer.slot(5), 6);
}

#[test]
#[should_panic(expected = "no descriptor")]
fn a_heap_region_has_no_descriptor() {
    let _ = OwnRegion::heap(SPEC).descriptor();
}
