//! A destination that requests are forwarded to.

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;

use ostler_proxy::in_memory::InMemoryFront;

use crate::end::End;

/// A destination, listening: what is said over its connections is the test's to say.
#[derive(Debug)]
pub struct Destination {
    front: Rc<InMemoryFront>,
    listener: UnixListener,
}

impl Destination {
    pub(crate) fn listen(front: &Rc<InMemoryFront>, socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("the folder is the test's own");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made not to block");
        Self {
            front: Rc::clone(front),
            listener,
        }
    }

    /// The next connection that the front has opened.
    pub fn accept(&self) -> End {
        self.try_accept()
            .expect("the front has not opened a connection")
    }

    /// The next connection that the front has opened, if there is one.
    pub fn try_accept(&self) -> Option<End> {
        match self.listener.accept() {
            Ok((socket, _)) => Some(End::new(&self.front, socket)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("cannot accept: {error}"),
        }
    }
}
