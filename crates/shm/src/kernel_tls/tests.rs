//! What runs only where the kernel offers TLS says so and passes over elsewhere, unless
//! `OSTLER_EXPECT_KERNEL_TLS` is set, as it is in `tests/vm`.

use std::io::{IoSlice, Read, Write};
use std::mem::offset_of;
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::net::sockopt;

use super::*;

const KEY: [u8; 32] = [0x11; 32];

fn keys(version: KernelTlsVersion, cipher: KernelTlsCipher) -> KernelTlsKeys<'static> {
    KernelTlsKeys {
        version,
        cipher,
        key: &KEY[..cipher.key_length()],
        iv: [3; 12],
        sequence: 1,
    }
}

fn offered() -> Option<KernelTls> {
    match KernelTls::probe() {
        Ok(offered) => Some(offered),
        Err(error) => {
            let expected = std::env::var_os("OSTLER_EXPECT_KERNEL_TLS").is_some();
            assert!(!expected, "kernel TLS is expected: {error:?}");
            eprintln!("passed over: {error}");
            None
        }
    }
}

/// Two sockets whose records the kernel writes and reads, by TLS 1.3 with AES-128-GCM.
fn pair() -> Option<(TcpStream, TcpStream)> {
    offered()?;
    let (near, far) = connected().unwrap();
    let mut keys = keys(KernelTlsVersion::Tls13, KernelTlsCipher::Aes128Gcm);
    for (sequence, sender, receiver) in [(1, &near, &far), (9, &far, &near)] {
        keys.sequence = sequence;
        if sequence == 1 {
            enable(sender.as_fd()).unwrap();
            enable(receiver.as_fd()).unwrap();
        }
        install_tx(sender.as_fd(), &keys).unwrap();
        install_rx(receiver.as_fd(), &keys).unwrap();
    }
    Some((near, far))
}

fn wait(socket: &TcpStream, what: PollFlags) {
    poll(&mut [PollFd::new(socket, what)], None).unwrap();
}

/// Receives, having waited until there is something.
fn receive(socket: &TcpStream, out: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    wait(socket, PollFlags::IN);
    recv_kernel_tls(socket.as_fd(), out, max)
}

fn reason(error: &io::Error) -> KernelTlsReceiveError {
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    let inner = error.get_ref().unwrap();
    *inner.downcast_ref::<KernelTlsReceiveError>().unwrap()
}

#[test]
fn keys_are_laid_out_as_the_kernel_reads_them() {
    type Gcm = libc::tls12_crypto_info_aes_gcm_256;
    let key: Vec<u8> = (0..32).collect();
    let keys = KernelTlsKeys {
        version: KernelTlsVersion::Tls13,
        cipher: KernelTlsCipher::Aes256Gcm,
        key: &key,
        iv: [80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91],
        sequence: 0x0102_0304_0506_0708,
    };
    let info = crypto_info(&keys).unwrap();
    assert_eq!(info.len(), size_of::<Gcm>());
    assert_eq!(info[..2], 0x0304_u16.to_ne_bytes());
    assert_eq!(info[2..4], libc::TLS_CIPHER_AES_GCM_256.to_ne_bytes());
    assert_eq!(info[offset_of!(Gcm, salt)..][..4], [80, 81, 82, 83]);
    assert_eq!(info[offset_of!(Gcm, iv)..][..8], keys.iv[4..]);
    assert_eq!(info[offset_of!(Gcm, key)..][..32], key);
    let sequence = &info[offset_of!(Gcm, rec_seq)..][..8];
    assert_eq!(sequence, [1, 2, 3, 4, 5, 6, 7, 8]);

    type Gcm128 = libc::tls12_crypto_info_aes_gcm_128;
    let keys = KernelTlsKeys {
        cipher: KernelTlsCipher::Aes128Gcm,
        key: &key[..16],
        ..keys
    };
    let info = crypto_info(&keys).unwrap();
    assert_eq!(info.len(), size_of::<Gcm128>());
    assert_eq!(info[offset_of!(Gcm128, key)..][..16], key[..16]);
    assert_eq!(info[offset_of!(Gcm128, salt)..][..4], [80, 81, 82, 83]);

    type ChaCha = libc::tls12_crypto_info_chacha20_poly1305;
    let keys = KernelTlsKeys {
        version: KernelTlsVersion::Tls12,
        cipher: KernelTlsCipher::ChaCha20Poly1305,
        key: &key,
        ..keys
    };
    let info = crypto_info(&keys).unwrap();
    assert_eq!(info.len(), size_of::<ChaCha>());
    assert_eq!(info[..2], 0x0303_u16.to_ne_bytes());
    assert_eq!(info[offset_of!(ChaCha, iv)..][..12], keys.iv);
    assert_eq!(info[offset_of!(ChaCha, key)..][..32], key);
}

#[test]
fn a_key_of_another_length_is_an_error() {
    let keys = KernelTlsKeys {
        key: &KEY[..24],
        ..keys(KernelTlsVersion::Tls13, KernelTlsCipher::Aes256Gcm)
    };
    let error = crypto_info(&keys).unwrap_err();
    assert!(matches!(
        error,
        KernelTlsError::KeyLength { length: 24, .. }
    ));
}

#[test]
fn keys_are_not_shown() {
    let shown = format!(
        "{:?}",
        keys(KernelTlsVersion::Tls12, KernelTlsCipher::Aes128Gcm)
    );
    assert!(!shown.contains("17"), "{shown}");
    assert!(!shown.contains("iv"), "{shown}");
}

#[test]
fn a_socket_that_cannot_do_tls_is_left_as_it_was() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let error = enable(near.as_fd()).unwrap_err();
    assert!(matches!(error, KernelTlsError::NotOffered(_)), "{error:?}");
    (&near).write_all(b"x").unwrap();
    far.read_exact(&mut [0]).unwrap();
}

#[test]
fn a_kernel_without_tls_is_told_from_one_with() {
    match KernelTls::probe() {
        Ok(offered) => {
            assert!(offered.offers(KernelTlsVersion::Tls13, KernelTlsCipher::Aes128Gcm));
        }
        Err(error) => {
            assert!(matches!(error, KernelTlsError::NotOffered(_)), "{error:?}");
            // And the same once more: nothing is left behind.
            KernelTls::probe().unwrap_err();
        }
    }
}

#[test]
fn every_version_and_cipher_that_is_offered_carries_bytes_both_ways() {
    let Some(offered) = offered() else { return };
    for version in [KernelTlsVersion::Tls12, KernelTlsVersion::Tls13] {
        for cipher in KernelTlsCipher::ALL {
            if !offered.offers(version, cipher) {
                eprintln!("not offered: {version:?} {cipher:?}");
                continue;
            }
            eprintln!("offered: {version:?} {cipher:?}");
            let (near, far) = connected().unwrap();
            let keys = keys(version, cipher);
            for socket in [&near, &far] {
                enable(socket.as_fd()).unwrap();
                install_tx(socket.as_fd(), &keys).unwrap();
                install_rx(socket.as_fd(), &keys).unwrap();
            }
            for (from, to) in [(&near, &far), (&far, &near)] {
                let parts = [IoSlice::new(b"head, "), IoSlice::new(b"body")];
                assert_eq!(crate::send(from.as_fd(), &parts).unwrap(), 10);
                let mut out = b"> ".to_vec();
                assert_eq!(receive(to, &mut out, 4).unwrap(), 4);
                assert_eq!(receive(to, &mut out, 100).unwrap(), 6);
                assert_eq!(out, b"> head, body");
            }
        }
    }
}

#[test]
fn what_another_holder_of_the_socket_sends_is_encrypted_too() {
    let Some((near, _far)) = pair() else { return };
    let (raw_near, mut raw_far) = connected().unwrap();
    drop(near);
    enable(raw_near.as_fd()).unwrap();
    let keys = keys(KernelTlsVersion::Tls13, KernelTlsCipher::Aes128Gcm);
    install_tx(raw_near.as_fd(), &keys).unwrap();
    // As a target's descriptor: the same description, another descriptor.
    let held = raw_near.try_clone().unwrap();
    drop(raw_near);
    crate::send(held.as_fd(), &[IoSlice::new(b"PLAINTEXT MARKER")]).unwrap();
    drop(held);
    let mut wire = Vec::new();
    raw_far.read_to_end(&mut wire).unwrap();
    // Header, text, inner content type, tag (RFC 8446 section 5.2).
    assert_eq!(wire.len(), 5 + 16 + 1 + 16);
    assert!(!wire.windows(6).any(|window| window == b"MARKER"));
}

#[test]
fn close_notify_ends_the_stream_behind_what_was_sent() {
    let Some((near, far)) = pair() else { return };
    crate::send(near.as_fd(), &[IoSlice::new(b"the last bytes")]).unwrap();
    send_close_notify(near.as_fd()).unwrap();
    let mut out = Vec::new();
    assert_eq!(receive(&far, &mut out, 100).unwrap(), 14);
    assert_eq!(receive(&far, &mut out, 100).unwrap(), 0);
    // The other direction is still open.
    crate::send(far.as_fd(), &[IoSlice::new(b"answer")]).unwrap();
    assert_eq!(receive(&near, &mut out, 100).unwrap(), 6);
    crate::shutdown_write(far.as_fd()).unwrap();
    assert_eq!(receive(&near, &mut out, 100).unwrap(), 0);
    assert_eq!(out, b"the last bytesanswer");
}

#[test]
fn nothing_there_would_block() {
    let Some((near, _far)) = pair() else { return };
    let error = recv_kernel_tls(near.as_fd(), &mut Vec::new(), 10).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn records_that_only_tls_itself_understands_end_the_connection() {
    // RFC 8446 sections 6.2 (decode_error), 4.6.3 (KeyUpdate).
    let cases: [(u8, &[u8], KernelTlsReceiveError); 4] = [
        (ALERT, &[2, 50], KernelTlsReceiveError::Alert(50)),
        (
            HANDSHAKE,
            &[24, 0, 0, 1, 0],
            KernelTlsReceiveError::Handshake,
        ),
        (24, b"heartbeat", KernelTlsReceiveError::ContentType(24)),
        (ALERT, &[2], KernelTlsReceiveError::ContentType(ALERT)),
    ];
    for (content_type, record, expected) in cases {
        let Some((near, far)) = pair() else { return };
        crate::send(near.as_fd(), &[IoSlice::new(b"data")]).unwrap();
        send_record(near.as_fd(), content_type, record).unwrap();
        let mut out = Vec::new();
        assert_eq!(receive(&far, &mut out, 100).unwrap(), 4);
        let error = receive(&far, &mut out, 100).unwrap_err();
        assert_eq!(reason(&error), expected);
        assert_eq!(out, b"data");
    }
}

#[test]
fn user_canceled_is_passed_over() {
    let Some((near, far)) = pair() else { return };
    send_record(near.as_fd(), ALERT, &[WARNING, USER_CANCELED]).unwrap();
    crate::send(near.as_fd(), &[IoSlice::new(b"data")]).unwrap();
    let mut out = Vec::new();
    // The first wait may see the alert alone.
    let received = loop {
        match receive(&far, &mut out, 100) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => break received.unwrap(),
        }
    };
    assert_eq!((received, &out[..]), (4, &b"data"[..]));
}

#[test]
fn a_record_that_cannot_be_decrypted_ends_the_connection() {
    if offered().is_none() {
        return;
    }
    let (mut client, server) = connected().unwrap();
    let keys = keys(KernelTlsVersion::Tls13, KernelTlsCipher::Aes128Gcm);
    enable(server.as_fd()).unwrap();
    install_tx(server.as_fd(), &keys).unwrap();
    install_rx(server.as_fd(), &keys).unwrap();
    let mut record = vec![APPLICATION_DATA, 3, 3, 0, 40];
    record.extend([7; 40]);
    client.write_all(&record).unwrap();
    let error = receive(&server, &mut Vec::new(), 100).unwrap_err();
    assert_eq!(reason(&error), KernelTlsReceiveError::Undecryptable);
}

/// Sizes at which Linux 6.1 has encrypted a record and found room for half of it: a shutdown at
/// once loses the record, and the client sees an end that looks regular.
#[test]
fn close_notify_once_there_is_room_leaves_nothing_behind() {
    for buffer in [4_096, 30_000, 100_000] {
        let Some((near, far)) = pair() else { return };
        sockopt::set_socket_send_buffer_size(&near, buffer).unwrap();
        sockopt::set_socket_recv_buffer_size(&far, 30_000).unwrap();
        // More than both sockets hold, to a client that does not read yet.
        let block = [b'x'; 50_000];
        let mut sent = 0;
        let error = loop {
            assert!(sent < 16 << 20, "the sockets take no end of it");
            match crate::send(near.as_fd(), &[IoSlice::new(&block)]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(!is_writable(near.as_fd()));
        let error = send_close_notify(near.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let reader = thread::spawn(move || {
            let mut received = 0;
            loop {
                match receive(&far, &mut Vec::new(), 16 * 1024) {
                    Ok(0) => return received,
                    Ok(count) => received += count,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error:?}"),
                }
            }
        });
        wait(&near, PollFlags::OUT);
        assert!(is_writable(near.as_fd()));
        send_close_notify(near.as_fd()).unwrap();
        crate::shutdown_write(near.as_fd()).unwrap();
        assert_eq!(reader.join().unwrap(), sent, "of a buffer of {buffer}");
    }
}
