//! `Ostler:Applications`: programs that are started for the queues that they serve.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, TimeSpan};
use crate::reader::Reader;
use crate::tree::Section;
use crate::tree::key::same;

/// Most instances that make sense: a mistyped number is not to start a million.
const MOST_INSTANCES: i32 = 256;
/// As the name of a request queue may be long.
const LONGEST_QUEUE: usize = 260;

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationConfig {
    /// Its key.
    pub name: String,
    /// `Command`.
    pub command: String,
    /// `Arguments`.
    pub arguments: Vec<String>,
    /// `Queue`.
    pub queue: String,
    /// `UrlPrefixes`; none is the queue's default.
    pub url_prefixes: Vec<String>,
    /// `Listen`.
    pub listen: ApplicationListen,
    /// `Protocol`: whether it is `Http2`.
    pub is_http2: bool,
    /// `Environment`.
    pub environment: BTreeMap<String, String>,
    /// `WorkingDirectory`.
    pub working_directory: Option<String>,
    /// `User`.
    pub user: Option<String>,
    /// `Instances`.
    pub instances: ApplicationInstances,
    /// `IdleTimeout`; `None` is never.
    pub idle_timeout: Option<Duration>,
    /// `StartTimeout`.
    pub start_timeout: Duration,
    /// `StopTimeout`.
    pub stop_timeout: Duration,
    /// `ReadyWhen`, where it is a path.
    pub ready_path: Option<String>,
    /// `Recycle`.
    pub recycle: ApplicationRecycle,
    /// `Watch`.
    pub watch: Vec<String>,
}

/// `Listen`: where an application's program listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApplicationListen {
    /// At a Unix socket that it is passed.
    #[default]
    Fd,
    /// At a port that it is passed.
    TcpFd,
    /// At a port that it is told.
    Port,
    /// At a Unix socket that it is told.
    Unix,
    /// Nowhere: it opens the queue itself.
    Queue,
}

/// `Instances`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplicationInstances {
    /// `Min`.
    pub min: usize,
    /// `Max`, from 1 and from `min`.
    pub max: usize,
    /// `Concurrency`.
    pub concurrency: Option<u64>,
}

/// `Recycle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ApplicationRecycle {
    /// `Requests`.
    pub requests: Option<u64>,
    /// `Memory`, in bytes.
    pub memory: Option<u64>,
    /// `Time`.
    pub time: Option<Duration>,
}

/// Reads the entries of `Ostler:Applications`.
pub(super) fn read(
    entries: Vec<(&str, Section<'_>)>,
    diagnostics: &mut Diagnostics,
) -> Vec<ApplicationConfig> {
    let mut applications: Vec<ApplicationConfig> = Vec::new();
    for (name, section) in entries {
        let mut reader = Reader::new(section, &keys::APPLICATION, diagnostics);
        let application = application(name, &mut reader);
        if let Some(other) = applications
            .iter()
            .find(|other| same(&other.queue, &application.queue))
        {
            let at = reader.section.child("Queue");
            let message = format!(
                "{:?} serves the queue {:?} already",
                other.name, application.queue
            );
            reader.error(&at, message, Some("name another queue".to_owned()));
        }
        reader.finish();
        applications.push(application);
    }
    applications
}

fn application(name: &str, reader: &mut Reader<'_, '_>) -> ApplicationConfig {
    let at = reader.section.clone();
    let command = reader.text("Command").unwrap_or_default();
    if command.is_empty() {
        let remedy = "write the program's name into Command".to_owned();
        reader.error(
            &at,
            format!("the application {name:?} has no command"),
            Some(remedy),
        );
    }
    let queue = reader.text("Queue").unwrap_or_else(|| name.to_owned());
    if queue.is_empty() || queue.chars().count() > LONGEST_QUEUE {
        let message = format!("a queue's name has 1 to {LONGEST_QUEUE} characters");
        reader.error(&at.child("Queue"), message, None);
    }
    let texts = |reader: &mut Reader<'_, '_>, key| -> Vec<String> {
        reader.list(key).into_iter().map(|(_, text)| text).collect()
    };
    let instances = reader.child("Instances");
    let recycle = reader.child("Recycle");
    let application = ApplicationConfig {
        name: name.to_owned(),
        command,
        arguments: texts(reader, "Arguments"),
        queue,
        url_prefixes: texts(reader, "UrlPrefixes"),
        listen: reader.parsed("Listen", listen).unwrap_or_default(),
        is_http2: reader.parsed("Protocol", is_http2).unwrap_or_default(),
        environment: environment(reader),
        working_directory: reader.text("WorkingDirectory"),
        user: reader.text("User"),
        instances: self::instances(instances, reader.diagnostics),
        idle_timeout: reader
            .parsed("IdleTimeout", idle_timeout)
            .unwrap_or(Some(Duration::from_secs(20 * 60))),
        start_timeout: reader
            .positive_time("StartTimeout", true)
            .unwrap_or(Duration::from_secs(60)),
        stop_timeout: reader
            .positive_time("StopTimeout", true)
            .unwrap_or(Duration::from_secs(30)),
        ready_path: reader.parsed("ReadyWhen", ready_path).flatten(),
        recycle: self::recycle(recycle, reader.diagnostics),
        watch: texts(reader, "Watch"),
    };
    if application.listen == ApplicationListen::Queue {
        for (key, is_said) in [
            ("ReadyWhen", application.ready_path.is_some()),
            ("Protocol", application.is_http2),
            ("UrlPrefixes", !application.url_prefixes.is_empty()),
        ] {
            if is_said {
                let message =
                    format!("{key} has no effect on a program that opens the queue itself");
                reader.warn(&at.child(key), message, Some("remove it".to_owned()));
            }
        }
    }
    application
}

fn listen(text: &str) -> Result<ApplicationListen, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "fd" => Ok(ApplicationListen::Fd),
        "tcpfd" => Ok(ApplicationListen::TcpFd),
        "port" => Ok(ApplicationListen::Port),
        "unix" => Ok(ApplicationListen::Unix),
        "queue" => Ok(ApplicationListen::Queue),
        _ => Err(format!(
            "{text:?} is none of \"Fd\", \"TcpFd\", \"Port\", \"Unix\", \"Queue\""
        )),
    }
}

fn is_http2(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "http1" => Ok(false),
        "http2" => Ok(true),
        _ => Err(format!("{text:?} is neither \"Http1\" nor \"Http2\"")),
    }
}

/// `None` for one that is not waited for.
fn idle_timeout(text: &str) -> Result<Option<Duration>, String> {
    match TimeSpan::parse(text)?.duration() {
        Some(Duration::ZERO) => Ok(None),
        Some(timeout) => Ok(Some(timeout)),
        None => Err(format!("{text:?} is negative")),
    }
}

fn ready_path(text: &str) -> Result<Option<String>, String> {
    match text.trim() {
        path if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Some(path.to_owned()))
        }
        word if word.eq_ignore_ascii_case("listening") => Ok(None),
        _ => Err(format!("{text:?} is neither \"Listening\" nor a path")),
    }
}

fn environment(reader: &mut Reader<'_, '_>) -> BTreeMap<String, String> {
    let at = reader.section.child("Environment");
    let environment: BTreeMap<_, _> = reader
        .map("Environment")
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in &environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            reader.error(
                &at.child(name),
                format!("{name:?} cannot be a variable"),
                None,
            );
        }
    }
    environment
}

fn instances(section: Section<'_>, diagnostics: &mut Diagnostics) -> ApplicationInstances {
    let mut reader = Reader::new(section, &keys::APPLICATION_INSTANCES, diagnostics);
    let number = |text: &str, least: i32| match leaf::int32(text)? {
        number if (least..=MOST_INSTANCES).contains(&number) => Ok(number.unsigned_abs() as usize),
        _ => Err(format!("{text:?} is not from {least} to {MOST_INSTANCES}")),
    };
    let min = reader.parsed("Min", |text| number(text, 0)).unwrap_or(0);
    let max = reader.parsed("Max", |text| number(text, 1));
    let concurrency = reader.parsed("Concurrency", positive);
    if let Some(max) = max.filter(|max| *max < min) {
        let at = reader.section.child("Max");
        let message = format!("at most {max} instances are fewer than the {min} that always run");
        reader.error(&at, message, Some("make it as large as Min".to_owned()));
    }
    reader.finish();
    ApplicationInstances {
        min,
        max: max.unwrap_or(1).max(min),
        concurrency,
    }
}

fn recycle(section: Section<'_>, diagnostics: &mut Diagnostics) -> ApplicationRecycle {
    let mut reader = Reader::new(section, &keys::APPLICATION_RECYCLE, diagnostics);
    let recycle = ApplicationRecycle {
        requests: reader.parsed("Requests", positive),
        memory: reader.parsed("Memory", positive),
        time: reader.positive_time("Time", true),
    };
    reader.finish();
    recycle
}

fn positive(text: &str) -> Result<u64, String> {
    match leaf::int64(text)? {
        number @ 1.. => Ok(number.unsigned_abs()),
        _ => Err(format!("{text:?} is not positive")),
    }
}
