//! A target of minor version 0 of the protocol, which knows no response transforms.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ostler_delegation::control::{FrontMessage, TargetMessage};
use ostler_delegation::queue::{OpenOptions, QueueInstance};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::{QueueName, QueueProperties, RequestQueueMode, UrlPrefix};
use ostler_shm::{ControlSocket, OwnRegion, ReceiveError};

use super::{PATIENCE, Sandbox};

/// A target whose library knows the first form of protocol version 2 alone: it answers relayed
/// connections, each with `x-arrival: relayed`, and fails the test if it is handed a client's.
pub(crate) struct OldTarget {
    instance: QueueInstance,
    region: Option<Arc<OwnRegion>>,
    controls: Vec<ControlSocket>,
}

impl OldTarget {
    pub(crate) fn open(sandbox: &Sandbox) -> Self {
        let name = QueueName::new("q").unwrap();
        let options = OpenOptions {
            properties: QueueProperties::new(&name),
            name,
            mode: RequestQueueMode::Create,
            url_prefixes: vec![UrlPrefix::parse("http://*:80/").unwrap()],
            label: "old".into(),
            permissions: 0o700,
        };
        let instance = QueueInstance::open(&RuntimeFolder::new(sandbox.runtime()), options);
        Self {
            instance: instance.unwrap(),
            region: None,
            controls: Vec::new(),
        }
    }

    /// Answers until one relayed connection has been answered.
    pub(crate) fn serve(mut self) {
        loop {
            std::thread::sleep(Duration::from_millis(1));
            if let Ok(control) = self.instance.listener().accept() {
                self.controls.push(control);
            }
            for at in 0..self.controls.len() {
                let mut packet = Vec::new();
                let mut received = match self.controls[at].receive(&mut packet) {
                    Ok(received) => received,
                    Err(ReceiveError::WouldBlock) => continue,
                    Err(error) => panic!("{error}"),
                };
                match FrontMessage::decode(&packet).unwrap() {
                    FrontMessage::HelloRings { spec, .. } => {
                        let own = OwnRegion::create("old", spec).unwrap();
                        let welcome = Self::welcome().encode();
                        self.controls[at]
                            .send(&welcome, &[own.descriptor()])
                            .unwrap();
                        self.region = Some(own);
                    }
                    FrontMessage::HelloRelay { .. } => {
                        self.controls[at]
                            .send(&Self::welcome().encode(), &[])
                            .unwrap();
                    }
                    FrontMessage::RelayConnection { .. } => {
                        let socket = UnixStream::from(received.descriptors.remove(0));
                        return answer(socket);
                    }
                    other => panic!("an old target is told {other:?}"),
                }
            }
        }
    }

    fn welcome() -> TargetMessage {
        TargetMessage::Welcome {
            minor: 0,
            pid: std::process::id(),
            max_connections: 1000,
            label: "old".into(),
            url_prefixes: vec!["http://*:80/".into()],
        }
    }
}

fn answer(mut socket: UnixStream) {
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let response = b"HTTP/1.1 200 OK\r\nX-Arrival: relayed\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n";
    socket.write_all(response).unwrap();
}
