//! The front between the ends that tests hold, and the clock they share.

use std::fmt::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ostler_config::{ConfigurationTree, load};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_model::ProxyModel;
use ostler_proxy::in_memory::InMemoryFront;
use ostler_proxy::{
    Endpoint, ExchangeContext, Flow, Front, FrontLimits, FrontOptions, ListenUrl, Outcome,
    Pipeline, PipelineStep, StepFuture,
};
use tempfile::TempDir;

use crate::destination::Destination;
use crate::end::End;
use crate::target::Target;

/// A running front, and a folder for the sockets of whoever it speaks with.
#[derive(Debug)]
pub struct Harness {
    front: Rc<InMemoryFront>,
    folder: TempDir,
    told: Told,
    model: Arc<ProxyModel>,
}

/// What the front has told of exchanges that are over.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<Outcome>>>);

impl PipelineStep for Told {
    fn name(&self) -> &str {
        "Told"
    }

    fn run<'a>(&'a self, _exchange: &'a mut ExchangeContext<'_>) -> StepFuture<'a> {
        Box::pin(async { Flow::Continue })
    }

    fn sees_each_request(&self) -> bool {
        false
    }

    fn ended(&self, outcome: &Outcome) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(outcome.clone());
    }
}

/// What a front is started with: one route for every request, and one cluster.
#[derive(Debug, Default)]
pub struct Setup {
    /// Names of destinations that requests are forwarded to.
    pub destinations: Vec<&'static str>,
    /// Names of request queues, each a destination that requests are delegated to.
    pub queues: Vec<&'static str>,
    /// Further keys of the route, as JSON: `"Timeout": "00:00:05"`.
    pub route: &'static str,
    /// Further keys of the cluster.
    pub cluster: &'static str,
    /// What clients may do.
    pub limits: FrontLimits,
}

impl Setup {
    /// Starts the front.
    pub fn start(self) -> Harness {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let run = folder.path().join("run");
        std::fs::create_dir(&run).expect("the folder is the test's own");
        let model = Arc::new(ProxyModel::new());
        self.apply(&model, folder.path());
        let told = Told::default();
        let mut pipeline = Pipeline::yarp_default().use_step(told.clone());
        if !self.queues.is_empty() {
            pipeline = pipeline.use_http_sys_delegation();
        }
        let url = format!("http://unix:{}/front.sock", folder.path().display());
        let options = FrontOptions {
            endpoints: vec![Endpoint::clear(
                ListenUrl::parse(&url).expect("it is the path of a socket"),
            )],
            limits: self.limits,
            runtime: RuntimeFolder::new(run),
            ..FrontOptions::default()
        };
        let front = InMemoryFront::start(Arc::clone(&model), pipeline, &options)
            .expect("this system has what a front needs");
        Harness {
            front: Rc::new(front),
            folder,
            told,
            model,
        }
    }

    fn apply(&self, model: &ProxyModel, folder: &Path) {
        let json = self.json(&folder.display().to_string());
        let mut tree = ConfigurationTree::new();
        tree.add_json("the test's", &json)
            .expect("the harness writes JSON");
        let loaded = load(&tree);
        assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
        model
            .apply(&loaded.settings.proxy)
            .expect("what was loaded without errors can be applied");
    }

    fn json(&self, folder: &str) -> String {
        let mut destinations = String::new();
        for name in &self.destinations {
            let _ = write!(
                destinations,
                r#""{name}": {{ "Address": "http://unix:{folder}/{name}.sock" }},"#
            );
        }
        for name in &self.queues {
            let _ = write!(
                destinations,
                r#""{name}": {{ "Address": "http://*:80/",
                     "Metadata": {{ "HttpSysDelegationQueue": "{name}" }} }},"#
            );
        }
        let Self { route, cluster, .. } = self;
        format!(
            r#"{{ "ReverseProxy": {{
                "Routes": {{ "all": {{ "ClusterId": "all", "Match": {{ "Path": "{{**rest}}" }}, {route} }} }},
                "Clusters": {{ "all": {{ "Destinations": {{ {destinations} }}, {cluster} }} }} }} }}"#
        )
    }
}

impl Harness {
    /// A front that forwards everything to the destination `first`.
    pub fn forwarding() -> Self {
        let destinations = vec!["first"];
        let setup = Setup {
            destinations,
            ..Setup::default()
        };
        setup.start()
    }

    /// A front that delegates everything to the queue `shop`.
    pub fn delegating() -> Self {
        let queues = vec!["shop"];
        let setup = Setup {
            queues,
            ..Setup::default()
        };
        setup.start()
    }

    /// The front, to be drained or configured anew.
    pub fn front(&self) -> &Front {
        self.front.front()
    }

    /// Puts another configuration in force: routes and clusters alone.
    pub fn reload(&self, setup: &Setup) {
        setup.apply(&self.model, self.folder.path());
        self.front.settle();
    }

    /// What has been told of exchanges until now, one after the other as they ended.
    pub fn told(&self) -> Vec<Outcome> {
        let told = self.told.0.lock();
        told.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client that has connected.
    pub fn client(&self) -> End {
        let socket = UnixStream::connect(self.socket("front")).expect("the front listens");
        End::new(&self.front, socket)
    }

    /// The destination of this name, which listens from now on.
    pub fn destination(&self, name: &str) -> Destination {
        Destination::listen(&self.front, &self.socket(name))
    }

    /// An instance of the queue of this name, which is there from now on.
    pub fn target(&self, queue: &str) -> Target {
        Target::open(&self.front, &self.runtime(), queue)
    }

    /// Where queues are.
    pub fn runtime(&self) -> RuntimeFolder {
        RuntimeFolder::new(self.folder.path().join("run"))
    }

    /// Runs something beside the front, by the same clock: an application that serves a queue, say.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.front.spawn(task);
    }

    /// Lets so much time pass.
    pub fn advance(&self, by: Duration) {
        self.front.advance(by);
    }

    /// Lets the front do all that can be done without time passing. Each move of an end does so.
    pub fn settle(&self) {
        self.front.settle();
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.sock"))
    }
}
