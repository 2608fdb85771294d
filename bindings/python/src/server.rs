//! A queue that is open, and the thread that serves it.

use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use http::{HeaderMap, HeaderName, HeaderValue};
use ostler_target::{QueueHandle, RequestQueue};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::environ::EnvironMaker;
use crate::exchange::PyHttpExchange;
use crate::inbox::{Answer, Changed, Event, Inbox, Request};
use crate::options::{QueueOptions, ServeOptions};
use crate::scope::ScopeMaker;
use crate::service::{Application, Shared};
use crate::wakers::Wakers;
use crate::websocket::PyWebSocket;
use crate::{QueueError, chain};

/// An open request queue.
#[pyclass(frozen, module = "ostler._ostler")]
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    created: bool,
    handle: QueueHandle,
    /// Until it is served.
    queue: Mutex<Option<RequestQueue>>,
    inbox: Arc<Inbox>,
    /// Set to stop: what has begun is finished.
    stop: CancellationToken,
    /// Set to stop at once.
    abort: CancellationToken,
    serving: Mutex<Serving>,
}

#[derive(Debug, Default)]
struct Serving {
    maker: Option<Arc<Maker>>,
    thread: Option<JoinHandle<()>>,
    /// The queue is served no more; the text says why if that was not asked for.
    ended: Option<Option<String>>,
}

/// Makes of a request what an application is told.
#[derive(Debug)]
enum Maker {
    Asgi(ScopeMaker),
    Wsgi(EnvironMaker),
}

#[pymethods]
impl Server {
    /// Opens the queue of this name.
    #[new]
    fn new(name: String, options: QueueOptions) -> PyResult<Self> {
        let queue = options.open(&name)?;
        Ok(Self {
            name,
            created: queue.created(),
            handle: queue.handle(),
            queue: Mutex::new(Some(queue)),
            inbox: Arc::new(Inbox::new()?),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            serving: Mutex::default(),
        })
    }

    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Whether this process made the queue rather than joined it.
    #[getter]
    fn created(&self) -> bool {
        self.created
    }

    /// Registers a further URL prefix.
    fn add_url_prefix(&self, prefix: &str) -> PyResult<()> {
        let added = self.handle.add_url_prefix(prefix);
        added.map_err(|error| QueueError::new_err(chain(&error)))
    }

    /// Removes a URL prefix; false when it was not registered.
    fn remove_url_prefix(&self, prefix: &str) -> PyResult<bool> {
        let removed = self.handle.remove_url_prefix(prefix);
        removed.map_err(|error| QueueError::new_err(chain(&error)))
    }

    /// Begins to serve an ASGI application, whose requests come by `take`.
    #[pyo3(signature = (options, state = None))]
    fn serve_asgi(
        &self,
        py: Python<'_>,
        options: ServeOptions,
        state: Option<Py<PyDict>>,
    ) -> PyResult<()> {
        let maker = ScopeMaker::new(py, &options.root_path, state)?;
        let websocket = Some(options.websocket()?);
        self.serve(Maker::Asgi(maker), self.shared(&options, websocket)?)
    }

    /// Begins to serve a WSGI application, whose requests come by `next`.
    fn serve_wsgi(&self, py: Python<'_>, options: ServeOptions) -> PyResult<()> {
        let maker = EnvironMaker::new(py, &options.root_path, options.multiprocess)?;
        self.serve(Maker::Wsgi(maker), self.shared(&options, None)?)
    }

    /// A descriptor that is readable when `take` has something.
    fn fileno(&self) -> i32 {
        self.inbox.as_fd().as_raw_fd()
    }

    /// The requests that have come, as pairs of scope and exchange. Resolves the futures of exchanges that have
    /// changed.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let Some(maker) = self.maker() else {
            return Ok(list);
        };
        for event in self.inbox.take() {
            match event {
                Event::Request(request) => list.append(maker.pair(py, *request)?)?,
                Event::Changed(Changed::Http(exchange)) => exchange.resolve(py)?,
                Event::Changed(Changed::WebSocket(socket)) => socket.resolve(py)?,
                Event::Ended(reason) => self.lock().ended = Some(reason),
            }
        }
        Ok(list)
    }

    /// Waits for a request: its environ and exchange. `None` when the queue is served no more.
    fn next<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyDict>, Bound<'py, PyAny>)>> {
        let Some(maker) = self.maker() else {
            return Err(PyRuntimeError::new_err("the queue is not served"));
        };
        loop {
            match py.detach(|| self.inbox.next()) {
                Event::Request(request) => return maker.pair(py, *request).map(Some),
                // Threads wait for their exchanges themselves.
                Event::Changed(_) => {}
                Event::Ended(reason) => {
                    self.lock().ended = Some(reason);
                    return Ok(None);
                }
            }
        }
    }

    /// Whether the queue is served no more, and why if that was not asked for.
    fn ended(&self) -> (bool, Option<String>) {
        let ended = self.lock().ended.clone();
        (ended.is_some(), ended.flatten())
    }

    /// Leaves the queue: what has not begun goes back to the front, what has is finished.
    fn stop(&self) {
        self.stop.cancel();
        // A queue that nobody serves has nothing to finish.
        let unserved = self.take_queue();
        drop(unserved);
    }

    /// Stops at once: connections of exchanges under way are closed.
    fn abort(&self) {
        self.stop();
        self.abort.cancel();
    }

    /// Waits for the serving thread.
    fn join(&self, py: Python<'_>) {
        let thread = self.lock().thread.take();
        if let Some(thread) = thread {
            py.detach(|| {
                // A panic has been printed, and nothing of the thread's is used any more.
                let _ = thread.join();
            });
        }
    }
}

impl Server {
    fn shared(
        &self,
        options: &ServeOptions,
        websocket: Option<crate::options::WebSocketOptions>,
    ) -> PyResult<Shared> {
        let mut fields = HeaderMap::new();
        for (name, value) in &options.headers {
            let name = HeaderName::from_bytes(name);
            let value = HeaderValue::from_bytes(value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(PyValueError::new_err("not a field of a response"));
            };
            fields.insert(name, value);
        }
        Ok(Shared {
            inbox: Arc::clone(&self.inbox),
            wakers: Arc::new(Wakers::default()),
            websocket,
            fields,
            conversations: TaskTracker::new(),
            stop: self.stop.clone(),
        })
    }

    fn serve(&self, maker: Maker, shared: Shared) -> PyResult<()> {
        let Some(queue) = self.take_queue() else {
            return Err(PyRuntimeError::new_err("the queue is served already"));
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("ostler-files")
            .build()?;
        let abort = self.abort.clone();
        let thread = std::thread::Builder::new().name("ostler".to_owned());
        let thread = thread.spawn(move || {
            let inbox = Arc::clone(&shared.inbox);
            let served = runtime.block_on(async {
                tokio::select! {
                    served = run(queue, Arc::new(shared)) => served,
                    () = abort.cancelled() => Ok(()),
                }
            });
            // Exchanges that are under way end with it, and threads that wait for them wake.
            runtime.shutdown_background();
            inbox.push(Event::Ended(served.err().map(|error| chain(&error))));
        })?;
        let mut serving = self.lock();
        serving.maker = Some(Arc::new(maker));
        serving.thread = Some(thread);
        Ok(())
    }

    fn maker(&self) -> Option<Arc<Maker>> {
        self.lock().maker.clone()
    }

    fn take_queue(&self) -> Option<RequestQueue> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Serving> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until stopped and until everything begun is over, WebSockets too.
async fn run(queue: RequestQueue, shared: Arc<Shared>) -> std::io::Result<()> {
    let serve = ostler_target::serve(queue, Application(Arc::clone(&shared)));
    let serve = serve.with_graceful_shutdown(shared.stop.clone().cancelled_owned());
    let served = async {
        serve.await?;
        shared.conversations.close();
        shared.conversations.wait().await;
        Ok(())
    };
    tokio::select! {
        served = served => served,
        () = shared.wakers.pass_on() => Ok(()),
    }
}

impl Maker {
    fn pair<'py>(
        &self,
        py: Python<'py>,
        request: Request,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyAny>)> {
        let is_websocket = matches!(request.answer, Answer::WebSocket(_));
        let told = match self {
            Self::Asgi(maker) => maker.scope(py, &request.head, is_websocket)?,
            Self::Wsgi(maker) => maker.environ(py, &request.head)?,
        };
        let answer = match request.answer {
            Answer::Http(exchange) => Bound::new(py, PyHttpExchange(exchange))?.into_any(),
            Answer::WebSocket(socket) => Bound::new(py, PyWebSocket(socket))?.into_any(),
        };
        Ok((told, answer))
    }
}
