//! A target whose every move is the test's: it takes a request, says how far it is, answers, or dies.

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use bytes::Bytes;
use http::HeaderMap;
use ostler_delegation::entry::{Completed, ExchangeKey};
use ostler_delegation::lease::Lease;
use ostler_delegation::queue::{OpenOptions, QueueInstance};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::stream_entry::BodyEntry;
use ostler_delegation::target::{
    Accepted, Event, Greeting, HeadToSend, TargetChannel, Told, accept,
};
use ostler_delegation::window::SmallEntries;
use ostler_delegation::{
    ChannelError, Disposition, Ending, QueueName, QueueProperties, RequestQueueMode, UrlPrefix,
};
use ostler_proxy::in_memory::InMemoryFront;
use ostler_shm::JournalCell;

/// What every instance registers.
const PREFIX: &str = "http://*:80/";

/// An instance of a queue.
#[derive(Debug)]
pub struct Target {
    front: Rc<InMemoryFront>,
    /// Taken when the instance leaves or dies.
    instance: Option<QueueInstance>,
    channel: Option<TargetChannel>,
    /// By slot and generation.
    clients: HashMap<(u32, u32), UnixStream>,
    /// Requests that the front or its client has given up.
    cancelled: Vec<ExchangeKey>,
    /// What has come of streams' bodies.
    bodies: HashMap<ExchangeKey, Vec<u8>>,
    /// Credit that has come for streams' responses.
    credit: HashMap<ExchangeKey, usize>,
    /// What has been read under leases and not told of.
    journaled: HashMap<ExchangeKey, JournalCell>,
    /// Connections that are over, as the front has said.
    closed: Vec<(u32, u32)>,
}

/// A request that a target has taken out of its ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which exchange it is.
    pub key: ExchangeKey,
    /// Its head, as it travelled.
    pub head: String,
    /// The part of its body that came with the head.
    pub prefix: Vec<u8>,
    /// The lease that it grants.
    pub lease: Option<Box<Lease>>,
}

impl Target {
    pub(crate) fn open(front: &Rc<InMemoryFront>, runtime: &RuntimeFolder, queue: &str) -> Self {
        let name = QueueName::new(queue).expect("the test names a queue");
        let prefix = UrlPrefix::parse(PREFIX).expect("it is a prefix");
        let options = OpenOptions {
            properties: QueueProperties::new(&name),
            name,
            mode: RequestQueueMode::CreateOrAttach,
            url_prefixes: vec![prefix],
            label: "by hand".into(),
            permissions: 0o700,
        };
        let mut instance = QueueInstance::open(runtime, options).expect("the folder is our own");
        // As if each process before it had died: requests wait for the next one.
        instance.keep_queue(true);
        front.settle();
        Self {
            front: Rc::clone(front),
            instance: Some(instance),
            channel: None,
            clients: HashMap::new(),
            cancelled: Vec::new(),
            bodies: HashMap::new(),
            credit: HashMap::new(),
            journaled: HashMap::new(),
            closed: Vec::new(),
        }
    }

    /// Welcomes the front, if it has come; false if not, and it has not been welcomed before.
    pub fn welcome(&mut self) -> bool {
        while self.channel.is_none() {
            let Some(instance) = &self.instance else {
                return false;
            };
            let Ok(control) = instance.listener().accept() else {
                return false;
            };
            let greeting = Greeting {
                label: "by hand".into(),
                url_prefixes: vec![PREFIX.into()],
                max_connections: 1000,
            };
            match accept(control, &greeting) {
                Ok(Accepted::Rings(channel)) => self.channel = Some(*channel),
                // Whoever attaches to a queue looks whether its instances live.
                Err(ChannelError::Closed) => {}
                other => panic!("a front of the same user asks for rings: {other:?}"),
            }
        }
        self.front.settle();
        true
    }

    /// The next request, which is *received* from now on.
    pub fn take(&mut self) -> Taken {
        self.try_take().expect("no request is in the ring")
    }

    /// The next request, if there is one that the front has not withdrawn.
    pub fn try_take(&mut self) -> Option<Taken> {
        while let Some(taken) = self.try_pop() {
            let began = self.channel().shared().begin(taken.key);
            self.front.settle();
            if began {
                return Some(taken);
            }
        }
        None
    }

    /// The next request, which is still *queued* as far as the front can see.
    pub fn try_pop(&mut self) -> Option<Taken> {
        self.welcome();
        self.read_control();
        loop {
            let event = self.channel.as_mut()?.poll_event();
            match event.expect("the front keeps to the protocol")? {
                Event::Request(key, request, lease) => {
                    return Some(Taken {
                        key,
                        head: String::from_utf8_lossy(request.head.raw).into_owned(),
                        prefix: request.prefix.to_vec(),
                        lease,
                    });
                }
                Event::Connection {
                    slot,
                    generation,
                    client,
                    ..
                } => {
                    self.clients.insert((slot, generation), client.into());
                }
                Event::ClientGone(key) => self.cancelled.push(key),
                Event::Closed { slot, generation } => {
                    self.clients.remove(&(slot, generation));
                    self.closed.push((slot, generation));
                }
                Event::Stream(key, stream) => {
                    let request = &stream.request;
                    return Some(Taken {
                        key,
                        head: String::from_utf8_lossy(request.head.raw).into_owned(),
                        prefix: request.prefix.to_vec(),
                        lease: None,
                    });
                }
                Event::Body(key, BodyEntry::Data { data, .. }) => {
                    self.bodies.entry(key).or_default().extend_from_slice(&data);
                }
                Event::Body(key, BodyEntry::Credit(bytes)) => {
                    *self.credit.entry(key).or_default() += bytes as usize;
                }
                Event::Unreceived(_) | Event::Goodbye | Event::Body(..) => {}
            }
        }
    }

    fn read_control(&mut self) {
        while let Some(channel) = &mut self.channel {
            match channel.poll_control() {
                Ok(Some(Event::Connection {
                    slot,
                    generation,
                    client,
                    ..
                })) => {
                    self.clients.insert((slot, generation), client.into());
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(_) => self.channel = None,
            }
        }
    }

    /// Whether the front has said that nobody waits for this request any more.
    pub fn is_cancelled(&mut self, taken: &Taken) -> bool {
        if let Some(next) = self.try_pop() {
            panic!("there is another request first: {next:?}");
        }
        self.cancelled.contains(&taken.key)
    }

    /// What has come of a stream's body.
    pub fn body(&mut self, taken: &Taken) -> Vec<u8> {
        if let Some(next) = self.try_pop() {
            panic!("there is another request first: {next:?}");
        }
        self.bodies.remove(&taken.key).unwrap_or_default()
    }

    /// Credit that has come for a stream's response since it was last asked for.
    pub fn credit(&mut self, taken: &Taken) -> usize {
        if let Some(next) = self.try_pop() {
            panic!("there is another request first: {next:?}");
        }
        self.credit.remove(&taken.key).unwrap_or_default()
    }

    /// Says a stream's head, and the start of its body: all of it if `is_last`.
    pub fn streams_head(&self, taken: &Taken, status: u16, data: &str, is_last: bool) {
        let shared = self.channel().shared();
        shared.responding_beside_body(taken.key);
        let head = HeadToSend {
            status,
            length: None,
            fields: &HeaderMap::new(),
            data: &Bytes::copy_from_slice(data.as_bytes()),
            is_last,
        };
        let sent = shared.send_head(taken.key, &head);
        sent.expect("there is room in the ring");
        shared.wake();
        self.front.settle();
    }

    /// Says a piece of a stream's body, whatever credit there is for it. False where the ring has no
    /// room.
    pub fn streams(&self, taken: &Taken, data: &[u8], is_last: bool) -> bool {
        let shared = self.channel().shared();
        let sent = shared.send_data(taken.key, data, is_last, &mut SmallEntries::default());
        shared.wake();
        self.front.settle();
        sent.is_ok()
    }

    /// Answers a stream whole.
    pub fn streams_whole(&self, taken: &Taken, body: &str) {
        self.streams_head(taken, 200, body, true);
        self.completes(taken, Disposition::Keep);
    }

    /// Says that body bytes may have been read.
    pub fn reads_body(&self, taken: &Taken) {
        self.channel().shared().body_read(taken.key);
        self.front.settle();
    }

    /// Says that it answers, and writes bytes of that to the client.
    pub fn says(&mut self, taken: &Taken, bytes: &str) {
        self.channel().shared().responding(taken.key);
        let client = self
            .clients
            .get_mut(&(taken.key.slot, taken.key.generation));
        let client = client.expect("the client came before its request");
        client
            .write_all(bytes.as_bytes())
            .expect("the client is there");
        self.front.settle();
    }

    /// Says that the exchange is over.
    pub fn completes(&self, taken: &Taken, disposition: Disposition) {
        let ending = match disposition {
            Disposition::Returned => Ending::NotBegun,
            _ => Ending::Answered,
        };
        self.channel().shared().complete(&Completed {
            ending,
            ..answered(taken.key, disposition)
        });
        self.front.settle();
    }

    /// Answers whole and keeps the connection.
    pub fn answers(&mut self, taken: &Taken, body: &str) {
        let length = body.len();
        self.says(
            taken,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"),
        );
        self.completes(taken, Disposition::Keep);
    }

    /// Answers, tells of that, and waits for the connection's next request as the lease lets it.
    pub fn answers_and_rests(&mut self, taken: &Taken, body: &str) {
        self.says_all(taken, body);
        self.tells(taken, "");
        self.channel().shared().rest(taken.key);
        self.front.settle();
    }

    /// Says a whole response.
    pub fn says_all(&mut self, taken: &Taken, body: &str) {
        let length = body.len();
        self.says(
            taken,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"),
        );
    }

    /// Tells of an exchange under a lease.
    pub fn tells(&mut self, taken: &Taken, head: &str) {
        let completed = answered(taken.key, Disposition::Keep);
        self.channel().shared().tell(
            Told {
                completed: &completed,
                head: head.as_bytes(),
            },
            false,
        );
        self.journaled.remove(&taken.key);
    }

    /// Reads the `number`th request of a lease, which is being read as far as the front can see; `None` where
    /// the lease does not stand any more.
    pub fn reads(&mut self, taken: &Taken, number: u32) -> Option<String> {
        let epoch = taken.lease.as_ref().expect("it grants a lease").epoch;
        let shared = self.channel().shared();
        if !shared.begin_reading(taken.key, epoch) {
            return None;
        }
        let cell = shared.journal_cell(taken.key, number);
        let mut cell = cell.expect("a cell is free");
        let client = &self.clients[&(taken.key.slot, taken.key.generation)];
        let received = cell.receive(client.as_fd());
        received.expect("the client has said something");
        let text = String::from_utf8_lossy(cell.bytes()).into_owned();
        self.journaled.insert(taken.key, cell);
        self.front.settle();
        Some(text)
    }

    /// Says that a request which it has read is *received*.
    pub fn begins(&self, taken: &Taken) {
        self.channel().shared().begin_leased(taken.key);
        self.front.settle();
    }

    /// Hands a connection back under whose lease it has read this.
    pub fn hands_back(&mut self, taken: &Taken, leftover: &str) {
        self.channel().shared().complete(&Completed {
            ending: Ending::NotBegun,
            status: 0,
            leftover: leftover.into(),
            ..answered(taken.key, Disposition::Keep)
        });
        self.journaled.remove(&taken.key);
        self.front.settle();
    }

    /// Whether the front has taken the connection from it.
    pub fn is_closed(&mut self, taken: &Taken) -> bool {
        if let Some(next) = self.try_pop() {
            panic!("there is another request first: {next:?}");
        }
        let connection = (taken.key.slot, taken.key.generation);
        self.closed.contains(&connection)
    }

    /// Dies: its sockets close, and nothing is said.
    pub fn dies(self) {
        let Self {
            front,
            instance,
            channel,
            clients,
            ..
        } = self;
        drop((channel, clients, instance));
        front.settle();
    }

    /// Leaves as a target that stops does: the queue goes with its last instance.
    pub fn leaves(mut self) {
        if let Some(instance) = &mut self.instance {
            instance.keep_queue(false);
        }
        self.dies();
    }

    fn channel(&self) -> &TargetChannel {
        self.channel.as_ref().expect("a front has been welcomed")
    }
}

fn answered(key: ExchangeKey, disposition: Disposition) -> Completed {
    Completed {
        key,
        disposition,
        ending: Ending::Answered,
        status: 200,
        bytes_sent: 1,
        body_received: 0,
        received_ns: 0,
        first_byte_ns: 0,
        completed_ns: 0,
        leftover: Vec::new(),
    }
}
