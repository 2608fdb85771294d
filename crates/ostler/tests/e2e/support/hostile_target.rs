//! A target written by hand, message by message, that keeps no promise unless it is told to.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ostler_delegation::control::{FrontMessage, TargetMessage};
use ostler_delegation::entry::{Completed, ExchangeKey, FrontEntry};
use ostler_delegation::queue::{OpenOptions, QueueInstance};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::{
    Disposition, Ending, PROTOCOL_MINOR, QueueName, QueueProperties, RequestQueueMode, Stage,
    UrlPrefix,
};
use ostler_shm::{
    Consumer, ControlSocket, OwnRegion, PeerRegion, Producer, ReceiveError, RegionSpec, Waker,
};

use super::mischief::RegionBytes;

/// Most between two looks at what a front may have said.
const GLANCE: Duration = Duration::from_millis(1);

/// A queue opened in a runtime folder.
pub(crate) struct HostileQueue {
    instance: QueueInstance,
    stop: AtomicBool,
    /// Fronts that have said hello.
    hellos: AtomicU32,
}

impl HostileQueue {
    /// `patience` is the queue's wait timeout.
    pub(crate) fn open(runtime: &Path, queue: &str, patience: Duration) -> Self {
        let name = QueueName::new(queue).unwrap();
        let properties = QueueProperties {
            wait_timeout_ms: patience.as_millis() as u64,
            ..QueueProperties::new(&name)
        };
        let options = OpenOptions {
            name,
            mode: RequestQueueMode::Create,
            url_prefixes: vec![UrlPrefix::parse("http://*:80/").unwrap()],
            label: "hostile".into(),
            properties,
            permissions: 0o700,
        };
        let instance = QueueInstance::open(&RuntimeFolder::new(runtime), options).unwrap();
        Self {
            instance,
            stop: AtomicBool::new(false),
            hellos: AtomicU32::new(0),
        }
    }

    /// Gives each front that says hello to `misdeed`, until [`stop`](Self::stop).
    pub(crate) fn receive_fronts(&self, mut misdeed: impl FnMut(Hello<'_>)) {
        while let ControlFlow::Continue(()) = self.glance() {
            let Ok(control) = self.instance.listener().accept() else {
                continue;
            };
            if let Some(hello) = self.hello(control) {
                self.hellos.fetch_add(1, Ordering::Relaxed);
                misdeed(hello);
            }
        }
    }

    pub(crate) fn hellos(&self) -> u32 {
        self.hellos.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn hello(&self, control: ControlSocket) -> Option<Hello<'_>> {
        let mut packet = Vec::new();
        while let ControlFlow::Continue(()) = self.glance() {
            let received = match control.receive(&mut packet) {
                Ok(received) => received,
                Err(ReceiveError::WouldBlock) => continue,
                Err(_) => return None,
            };
            let Ok(FrontMessage::HelloRings { spec, .. }) = FrontMessage::decode(&packet) else {
                return None;
            };
            return Some(Hello {
                queue: self,
                control,
                spec,
                descriptors: received.descriptors,
            });
        }
        None
    }

    /// Waits a moment; breaks when it is time to stop.
    fn glance(&self) -> ControlFlow<()> {
        std::thread::sleep(GLANCE);
        if self.stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// A front's hello, unanswered.
pub(crate) struct Hello<'a> {
    queue: &'a HostileQueue,
    pub(crate) control: ControlSocket,
    pub(crate) spec: RegionSpec,
    descriptors: Vec<OwnedFd>,
}

impl<'a> Hello<'a> {
    /// Keeps the connection open and says nothing.
    pub(crate) fn keep_silent(&self) {
        while let ControlFlow::Continue(()) = self.queue.glance() {
            if let Err(ReceiveError::Closed) = self.control.receive(&mut Vec::new()) {
                return;
            }
        }
    }

    /// The answer a right target gives.
    pub(crate) fn welcome() -> TargetMessage {
        TargetMessage::Welcome {
            minor: 0,
            pid: std::process::id(),
            max_connections: 1000,
            label: "hostile".into(),
            url_prefixes: vec!["http://*:80/".into()],
        }
    }

    /// Answers as a right target does that takes no streams.
    pub(crate) fn accept(self) -> HostileChannel<'a> {
        self.accept_by(&Self::welcome())
    }

    /// Answers as a right target of this build does.
    pub(crate) fn accept_streams(self) -> HostileChannel<'a> {
        let mut welcome = Self::welcome();
        if let TargetMessage::Welcome { minor, .. } = &mut welcome {
            *minor = PROTOCOL_MINOR;
        }
        self.accept_by(&welcome)
    }

    fn accept_by(self, welcome: &TargetMessage) -> HostileChannel<'a> {
        static REGIONS: AtomicU32 = AtomicU32::new(0);
        let name = format!("hostile-{}", REGIONS.fetch_add(1, Ordering::Relaxed));
        let own = OwnRegion::create(&name, self.spec).unwrap();
        let bytes = RegionBytes::of(&name);
        let mut descriptors = self.descriptors.into_iter();
        let peer = PeerRegion::map(descriptors.next().unwrap()).unwrap();
        let [_wake_target, wake_front] = [(); 2].map(|()| descriptors.next().unwrap());
        // A front that has lost interest says so by its end of the socket, at the next look.
        let _ = self.control.send(&welcome.encode(), &[own.descriptor()]);
        HostileChannel {
            queue: self.queue,
            control: self.control,
            producer: Producer::new(Arc::clone(&own), Arc::clone(&peer)),
            consumer: Consumer::new(Arc::clone(&own), Arc::clone(&peer)),
            waker: Waker::new(peer, wake_front),
            own,
            bytes,
            clients: Vec::new(),
        }
    }
}

/// A channel a front was welcomed to.
pub(crate) struct HostileChannel<'a> {
    queue: &'a HostileQueue,
    pub(crate) control: ControlSocket,
    producer: Producer,
    consumer: Consumer,
    waker: Waker,
    own: Arc<OwnRegion>,
    pub(crate) bytes: RegionBytes,
    clients: Vec<OwnedFd>,
}

impl HostileChannel<'_> {
    /// Waits until a request is there, and leaves it in the ring. False when the front is gone, or
    /// it is time to stop.
    pub(crate) fn await_request(&mut self) -> bool {
        while let ControlFlow::Continue(()) = self.queue.glance() {
            if !self.front_is_there() {
                return false;
            }
            if !self.consumer.is_empty() {
                return true;
            }
        }
        false
    }

    /// Takes the next request out of the ring.
    pub(crate) fn take_request(&mut self) -> Option<ExchangeKey> {
        let (mut entry, mut fields) = (Vec::new(), Vec::new());
        while self.await_request() {
            if !self.consumer.try_pop(&mut entry).unwrap() {
                continue;
            }
            if let Ok(FrontEntry::Request(key, ..) | FrontEntry::Stream(key, _)) =
                FrontEntry::decode(&mut entry, &mut fields)
            {
                return Some(key);
            }
        }
        None
    }

    /// Stays until the front lets go or it is time to stop.
    pub(crate) fn stay(&mut self) {
        while let ControlFlow::Continue(()) = self.queue.glance() {
            if !self.front_is_there() {
                return;
            }
        }
    }

    /// Whether it is time to stop.
    pub(crate) fn is_over(&self) -> bool {
        self.queue.stop.load(Ordering::Relaxed)
    }

    /// Says how far an exchange is.
    pub(crate) fn says(&self, key: ExchangeKey, stage: Stage) {
        self.own
            .set_slot(key.slot as usize, stage.to_byte(key.exchange));
    }

    /// Puts any bytes into the ring as an entry.
    pub(crate) fn push(&mut self, entry: &[u8]) {
        // A ring that is full of this or broken by it is no concern of this side.
        let _ = self.producer.try_push(&[entry]);
        self.wake();
    }

    pub(crate) fn complete(&mut self, completed: &Completed) {
        let mut entry = Vec::new();
        completed.encode(&mut entry);
        self.push(&entry);
    }

    pub(crate) fn wake(&mut self) {
        let _ = self.waker.wake_if_asleep();
    }

    /// Reads the control socket, and keeps the client sockets that come.
    fn front_is_there(&mut self) -> bool {
        loop {
            match self.control.receive(&mut Vec::new()) {
                Ok(received) => self.clients.extend(received.descriptors),
                Err(ReceiveError::WouldBlock) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// The completion of an exchange that was answered, as a right target writes it.
pub(crate) fn answered(key: ExchangeKey) -> Completed {
    Completed {
        key,
        disposition: Disposition::Keep,
        ending: Ending::Answered,
        status: 200,
        bytes_sent: 100,
        body_received: 0,
        received_ns: 1,
        first_byte_ns: 2,
        completed_ns: 3,
        leftover: Vec::new(),
    }
}
