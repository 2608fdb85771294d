//! Packets and descriptors between two ends, over a pair and over a file.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

/// Sends without the checks of [`ControlSocket::send`].
fn send_unchecked(socket: &ControlSocket, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    sendmsg(
        socket,
        &[IoSlice::new(message)],
        &mut control,
        SendFlags::DONTWAIT,
    )
    .unwrap();
}

/// A stream and a probe that reads its end once every descriptor of it is closed.
fn stream_with_probe() -> (UnixStream, UnixStream) {
    let (stream, probe) = UnixStream::pair().unwrap();
    probe.set_nonblocking(true).unwrap();
    (stream, probe)
}

fn is_closed(mut probe: &UnixStream) -> bool {
    matches!(probe.read(&mut [0]), Ok(0))
}

#[test]
fn messages_keep_their_bounds_and_order() {
    let (one, other) = ControlSocket::pair().unwrap();
    let mut buffer = b"old".to_vec();
    assert!(matches!(
        other.receive(&mut buffer),
        Err(ReceiveError::WouldBlock)
    ));
    assert!(buffer.is_empty());
    let longest = vec![5; MAX_MESSAGE];
    for message in [b"a".as_slice(), b"bc", &longest] {
        one.send(message, &[]).unwrap();
    }
    for message in [b"a".as_slice(), b"bc", &longest] {
        let received = other.receive(&mut buffer).unwrap();
        assert_eq!(received.len, message.len());
        assert_eq!(
            received.descriptors.capacity(),
            0,
            "no descriptors, no allocation"
        );
        assert_eq!(buffer, message);
    }
    assert!(matches!(
        other.receive(&mut buffer),
        Err(ReceiveError::WouldBlock)
    ));
}

#[test]
fn descriptors_cross_in_order_and_close_on_exec() {
    let (one, other) = ControlSocket::pair().unwrap();
    let pairs: Vec<_> = (0..MAX_DESCRIPTORS)
        .map(|_| UnixStream::pair().unwrap())
        .collect();
    let sent: Vec<_> = pairs.iter().map(|(mine, _)| mine.as_fd()).collect();
    one.send(b"take these", &sent).unwrap();
    let mut buffer = Vec::new();
    let received = other.receive(&mut buffer).unwrap();
    assert_eq!(received.descriptors.len(), MAX_DESCRIPTORS);
    for (number, (descriptor, (_, theirs))) in
        (0_u8..).zip(received.descriptors.into_iter().zip(&pairs))
    {
        assert!(fcntl_getfd(&descriptor).unwrap().contains(FdFlags::CLOEXEC));
        File::from(descriptor).write_all(&[number]).unwrap();
        let mut byte = [0];
        (&*theirs).read_exact(&mut byte).unwrap();
        assert_eq!(byte, [number]);
    }
}

#[test]
fn what_no_receiver_would_take_is_not_sent() {
    let (one, other) = ControlSocket::pair().unwrap();
    let many = vec![one.as_fd(); MAX_DESCRIPTORS + 1];
    for (message, descriptors) in [
        (vec![], &[][..]),
        (vec![0; MAX_MESSAGE + 1], &[]),
        (vec![0], &many),
    ] {
        let error = one.send(&message, descriptors).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    assert!(matches!(
        other.receive(&mut Vec::new()),
        Err(ReceiveError::WouldBlock)
    ));
}

#[test]
fn a_truncated_message_is_an_error_and_its_descriptors_are_closed() {
    let (one, other) = ControlSocket::pair().unwrap();
    let (stream, probe) = stream_with_probe();
    send_unchecked(&one, &vec![1; MAX_MESSAGE + 1], &[stream.as_fd()]);
    drop(stream);
    let mut buffer = Vec::new();
    assert!(!is_closed(&probe));
    assert!(matches!(
        other.receive(&mut buffer),
        Err(ReceiveError::MessageTruncated)
    ));
    assert!(is_closed(&probe));
    assert!(buffer.is_empty());
    // The next one is whole again.
    one.send(b"next", &[]).unwrap();
    assert_eq!(other.receive(&mut buffer).unwrap().len, 4);
}

#[test]
fn too_many_descriptors_are_an_error_and_all_are_closed() {
    for count in [
        MAX_DESCRIPTORS + 1,
        MAX_DESCRIPTORS + 2,
        MAX_DESCRIPTORS + 3,
        60,
    ] {
        let (one, other) = ControlSocket::pair().unwrap();
        let (stream, probe) = stream_with_probe();
        send_unchecked(&one, b"too many", &vec![stream.as_fd(); count]);
        drop(stream);
        let mut buffer = Vec::new();
        let received = other.receive(&mut buffer);
        assert!(
            matches!(received, Err(ReceiveError::DescriptorsTruncated)),
            "{count}"
        );
        assert!(is_closed(&probe), "{count}");
        assert!(buffer.is_empty());
    }
}

/// The limit is the whole process', so the test runs itself in a process of its own.
#[test]
fn descriptors_over_the_open_file_limit_are_an_error_and_all_are_closed() {
    const CHILD: &str = "OSTLER_TEST_OPEN_FILE_LIMIT";
    if std::env::var_os(CHILD).is_none() {
        let name =
            "socket::tests::descriptors_over_the_open_file_limit_are_an_error_and_all_are_closed";
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=1"])
            .env(CHILD, "1")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let (one, other) = ControlSocket::pair().unwrap();
    let (stream, probe) = stream_with_probe();
    one.send(b"three", &[stream.as_fd(), stream.as_fd(), stream.as_fd()])
        .unwrap();
    drop(stream);
    // The lowest number that is free: room for one more descriptor, then none.
    let free = one.as_fd().try_clone_to_owned().unwrap().as_raw_fd();
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = u64::try_from(free).unwrap() + 1;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(limit),
            maximum,
        },
    )
    .unwrap();
    let mut buffer = Vec::new();
    let received = other.receive(&mut buffer);
    assert!(
        matches!(received, Err(ReceiveError::DescriptorsTruncated)),
        "{received:?}"
    );
    assert!(is_closed(&probe));
    // Nothing leaked: the number is free again.
    assert_eq!(one.as_fd().try_clone_to_owned().unwrap().as_raw_fd(), free);
}

#[test]
fn a_closed_peer_is_told_apart_from_an_empty_queue() {
    let (one, other) = ControlSocket::pair().unwrap();
    one.send(b"last words", &[]).unwrap();
    drop(one);
    let mut buffer = Vec::new();
    assert_eq!(other.receive(&mut buffer).unwrap().len, 10);
    assert!(matches!(
        other.receive(&mut buffer),
        Err(ReceiveError::Closed)
    ));
    assert_eq!(
        other.send(b"hello?", &[]).unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );

    // A peer that leaves what we sent unread resets the connection.
    let (one, other) = ControlSocket::pair().unwrap();
    other.send(b"unread", &[]).unwrap();
    drop(one);
    assert!(matches!(
        other.receive(&mut buffer),
        Err(ReceiveError::Closed)
    ));
}

#[test]
fn a_full_socket_takes_nothing_and_waits_for_nobody() {
    let (one, other) = ControlSocket::pair().unwrap();
    let (stream, probe) = stream_with_probe();
    let message = vec![1; MAX_MESSAGE];
    let mut sent = 0;
    let error = loop {
        match one.send(&message, &[stream.as_fd()]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1000, "a socket's buffer is limited");
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(stream);
    let mut buffer = Vec::new();
    for _ in 0..sent {
        assert_eq!(other.receive(&mut buffer).unwrap().descriptors.len(), 1);
    }
    assert!(matches!(
        other.receive(&mut buffer),
        Err(ReceiveError::WouldBlock)
    ));
    assert!(is_closed(&probe));
}

#[test]
fn listens_connects_and_knows_the_peer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    assert_eq!(
        ControlSocket::connect(&path).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    let listener = ControlListener::bind(&path).unwrap();
    assert_eq!(listener.path(), path);
    assert_eq!(
        ControlListener::bind(&path).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );

    let front = ControlSocket::connect(&path).unwrap();
    let target = listener.accept().unwrap();
    front.send(b"hello", &[listener.as_fd()]).unwrap();
    let mut buffer = Vec::new();
    assert_eq!(target.receive(&mut buffer).unwrap().descriptors.len(), 1);
    let own = PeerCredentials {
        pid: i32::try_from(std::process::id()).unwrap(),
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    };
    assert_eq!(front.peer_credentials().unwrap(), own);
    assert_eq!(target.peer_credentials().unwrap(), own);

    // The file stays and refuses.
    drop(listener);
    assert!(path.exists());
    assert_eq!(
        ControlSocket::connect(&path).unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
    // Who is connected stays so.
    target.send(b"still here", &[]).unwrap();
    assert_eq!(front.receive(&mut buffer).unwrap().len, 10);
}

#[test]
fn refuses_a_path_that_no_address_can_hold() {
    let path = PathBuf::from("/tmp").join("x".repeat(120));
    assert_eq!(
        ControlListener::bind(&path).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    assert_eq!(
        ControlSocket::connect(&path).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
}

#[test]
fn survives_being_a_bare_descriptor() {
    let (one, other) = ControlSocket::pair().unwrap();
    let bare: OwnedFd = one.into();
    let one = ControlSocket::from(bare);
    other.send(b"x", &[]).unwrap();
    assert_eq!(one.receive(&mut Vec::new()).unwrap().len, 1);
}
