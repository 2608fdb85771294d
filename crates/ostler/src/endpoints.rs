//! Endpoints as the front takes them: URLs read, the files of certificates read and decoded; and read
//! again when they change.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ostler_config::{
    CertificateConfig, ConfigurationTree, Diagnostic, Diagnostics, EndpointConfig, Password,
    Settings, Severity, TlsConfig, TlsHostConfig,
};
use ostler_proxy::{
    Certificate, CertificateError, Endpoint, Front, ListenUrl, TlsEndpoint, TlsHostOptions,
    TlsOptions, TlsSetupError, authorities,
};
use tokio::task::JoinHandle;

use crate::files;
use crate::reload::FileChanges;

/// Where those who vouch for clients are named.
const AUTHORITIES: &str = "Ostler:Tls:ClientCertificateAuthorities";

/// An endpoint that cannot be set up.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// Where what is wrong stands in the configuration.
    at: String,
    message: String,
    remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.at, self.message, self.remedy)
    }
}

/// The endpoints of a configuration, in its order.
///
/// # Errors
///
/// Everything that is wrong with them.
pub(crate) fn build(settings: &Settings) -> Result<Vec<Endpoint>, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut files = Files::default();
    let mut built = Vec::new();
    for config in &settings.endpoints {
        built.extend(build_one(config, settings, &mut files, &mut mistakes));
    }
    match mistakes.is_empty() {
        true => Ok(built),
        false => Err(mistakes),
    }
}

fn build_one(
    config: &EndpointConfig,
    settings: &Settings,
    files: &mut Files,
    mistakes: &mut Vec<Mistake>,
) -> Option<Endpoint> {
    let url = ListenUrl::parse(&config.url).map_err(|error| Mistake {
        at: config.path.clone(),
        message: error.to_string(),
        remedy: "set it to a URL such as https://*:8443".to_owned(),
    });
    let tls = match &config.tls {
        None => Some(None),
        // What is missing is said by the configuration itself, or below.
        Some(tls) => options(tls, settings, files, mistakes).and_then(|options| {
            let made = TlsEndpoint::new(&options);
            let made = made.map_err(|error| mistakes.push(setup(config, &error)));
            Some(Some(Arc::new(made.ok()?)))
        }),
    };
    let url = url.map_err(|mistake| mistakes.push(mistake)).ok();
    Some(Endpoint {
        name: name(&config.path),
        url: url?,
        protocols: config.protocols,
        tls: tls?,
        proxy_protocol: Arc::new(config.proxy_protocol.clone()),
    })
}

/// What an endpoint is called that is configured here; one of `Urls` has no name.
fn name(at: &str) -> Option<String> {
    let name = at.strip_prefix("Kestrel:Endpoints:")?;
    name.strip_suffix(":Url").map(str::to_owned)
}

/// Adds what is wrong with a configuration's endpoints to what is wrong with it otherwise.
pub(crate) fn check(tree: &ConfigurationTree, settings: &Settings, diagnostics: &mut Diagnostics) {
    for mistake in build(settings).err().unwrap_or_default() {
        diagnostics.push(Diagnostic {
            severity: Severity::Error,
            place: tree.section(&mistake.at).place(),
            path: mistake.at,
            message: mistake.message,
            remedy: Some(mistake.remedy),
        });
    }
    diagnostics.sort();
}

fn setup(config: &EndpointConfig, error: &TlsSetupError) -> Mistake {
    let (at, remedy) = match error {
        TlsSetupError::NoRoots(_) => (
            AUTHORITIES,
            "name a PEM file of those who vouch for clients",
        ),
        TlsSetupError::Authority(_) => (AUTHORITIES, "name a PEM file of certificate authorities"),
        _ => (config.path.as_str(), "correct the endpoint"),
    };
    Mistake {
        at: at.to_owned(),
        message: chain(error),
        remedy: remedy.to_owned(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What an endpoint tells its clients; `None`, with mistakes noted, when something is missing for it.
fn options(
    tls: &TlsConfig,
    settings: &Settings,
    files: &mut Files,
    mistakes: &mut Vec<Mistake>,
) -> Option<TlsOptions> {
    let mut host = |host: &TlsHostConfig| {
        let certificate = files.certificate(&host.certificate, mistakes)?;
        Some(TlsHostOptions {
            certificate,
            protocols: host.protocols,
            ssl_protocols: host.ssl_protocols,
            client_certificates: host.client_certificate_mode,
        })
    };
    let any = tls.any.as_ref().map(&mut host);
    let hosts: Vec<_> = tls
        .hosts
        .iter()
        .map(|(name, options)| Some((name.clone(), host(options)?)))
        .collect();
    let file = settings.ostler.client_certificate_authorities.as_deref();
    let authorities = match file {
        None => None,
        Some(file) => Some(files.authorities(file, mistakes)?),
    };
    Some(TlsOptions {
        hosts: hosts.into_iter().collect::<Option<_>>()?,
        any: match any {
            None => None,
            Some(any) => Some(any?),
        },
        client_certificate_authorities: authorities,
    })
}

/// Certificates read so far: endpoints often share one.
#[derive(Default)]
struct Files {
    /// By where they stand; `None` are mistakes, noted once.
    certificates: HashMap<String, Option<Certificate>>,
    authorities: Option<Option<Vec<rustls::pki_types::CertificateDer<'static>>>>,
}

impl Files {
    fn certificate(
        &mut self,
        config: &CertificateConfig,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Certificate> {
        if let Some(read) = self.certificates.get(&config.at) {
            return read.clone();
        }
        let read = read_certificate(config);
        let read = read.map_err(|mistake| mistakes.push(mistake)).ok();
        self.certificates.insert(config.at.clone(), read.clone());
        read
    }

    fn authorities(
        &mut self,
        file: &str,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Vec<rustls::pki_types::CertificateDer<'static>>> {
        if let Some(read) = &self.authorities {
            return read.clone();
        }
        let read = read_file(AUTHORITIES, "", file).and_then(|bytes| {
            authorities(&bytes).map_err(|error| wrong_file(AUTHORITIES, file, &error))
        });
        let read = read.map_err(|mistake| mistakes.push(mistake)).ok();
        self.authorities = Some(read.clone());
        read
    }
}

fn read_certificate(config: &CertificateConfig) -> Result<Certificate, Mistake> {
    let file = read_file(&config.at, ":Path", &config.path)?;
    let key = match &config.key_path {
        None => None,
        Some(path) => Some(read_file(&config.at, ":KeyPath", path)?),
    };
    let password = config.password.as_ref().map(Password::reveal);
    Certificate::read(&file, key.as_deref(), password).map_err(|error| {
        let is_of_key = matches!(
            error,
            CertificateError::NoKey
                | CertificateError::NoPassword
                | CertificateError::WrongPassword
                | CertificateError::LegacyEncryption
        );
        match &config.key_path {
            Some(path) if is_of_key => wrong_file(&config.at, path, &error),
            _ => wrong_file(&config.at, &config.path, &error),
        }
    })
}

fn read_file(at: &str, key: &str, path: &str) -> Result<Vec<u8>, Mistake> {
    files::read_bytes(path).map_err(|error| Mistake {
        at: format!("{at}{key}"),
        message: format!("{path} cannot be read: {error}"),
        remedy: "correct the path, or let this user read the file".to_owned(),
    })
}

fn wrong_file(at: &str, path: &str, error: &CertificateError) -> Mistake {
    Mistake {
        at: at.to_owned(),
        message: format!("{path}: {}", chain(error)),
        remedy: error.remedy().to_owned(),
    }
}

/// An endpoint that is listened on.
#[derive(Debug, Clone)]
struct Listening {
    path: String,
    url: String,
    endpoint: Endpoint,
}

impl Listening {
    fn new(config: &EndpointConfig, endpoint: Endpoint) -> Self {
        Self {
            path: config.path.clone(),
            url: config.url.clone(),
            endpoint,
        }
    }

    /// Whether a configuration speaks of this endpoint: what else it says of an https endpoint can be
    /// put in force as it is listened on.
    fn is_of(&self, config: &EndpointConfig) -> bool {
        self.path == config.path
            && self.url == config.url
            && self.endpoint.tls.is_some() == config.tls.is_some()
            && *self.endpoint.proxy_protocol == config.proxy_protocol
            && (config.tls.is_some() || self.endpoint.protocols == config.protocols)
    }
}

/// Keeps what is listened on, and what clients are told, up to date with configuration and files.
#[derive(Debug)]
pub(crate) struct Endpoints {
    listening: Vec<Listening>,
    settings: Settings,
    task: Option<JoinHandle<()>>,
}

impl Endpoints {
    /// Looks after endpoints that were built of these settings, on the runtime that calls. `changes`
    /// was made before their files were read, so that no change is missed.
    pub(crate) fn follow(
        endpoints: &[Endpoint],
        settings: &Settings,
        changes: FileChanges,
    ) -> Self {
        let listening = settings.endpoints.iter().zip(endpoints);
        let listening =
            listening.map(|(config, endpoint)| Listening::new(config, endpoint.clone()));
        let mut endpoints = Self {
            listening: listening.collect(),
            settings: settings.clone(),
            task: None,
        };
        endpoints.watch(changes);
        endpoints
    }

    /// The configuration may say something else. Endpoints that are still there tell clients what it
    /// says now; others begin and end.
    pub(crate) fn reload(&mut self, settings: &Settings, front: &mut Front) {
        if settings.endpoints == self.settings.endpoints
            && settings.ostler.client_certificate_authorities
                == self.settings.ostler.client_certificate_authorities
        {
            return;
        }
        let changes = changes(settings);
        let (mut files, mut mistakes) = (Files::default(), Vec::new());
        let mut listening = Vec::new();
        for config in &settings.endpoints {
            let mut known = self.listening.iter();
            let endpoint = match known.find(|known| known.is_of(config)) {
                Some(known) => {
                    let endpoint = known.endpoint.clone();
                    replace(&endpoint, config, settings, &mut files, &mut mistakes);
                    Some(endpoint)
                }
                None => build_one(config, settings, &mut files, &mut mistakes),
            };
            listening.extend(endpoint.map(|endpoint| Listening::new(config, endpoint)));
        }
        log(&mistakes);
        let before = front.urls();
        let endpoints: Vec<_> = listening.iter().map(|one| one.endpoint.clone()).collect();
        for error in front.set_endpoints(&endpoints) {
            tracing::error!("{:#}", anyhow::Error::new(error));
        }
        for url in front.urls().iter().filter(|url| !before.contains(url)) {
            println!("listening on {url}");
        }
        self.listening = listening;
        self.settings = settings.clone();
        self.watch(changes);
    }

    fn watch(&mut self, mut changes: FileChanges) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        if changes.is_empty() {
            return;
        }
        let (listening, settings) = (self.listening.clone(), self.settings.clone());
        self.task = Some(tokio::spawn(async move {
            loop {
                changes.changed().await;
                let (mut files, mut mistakes) = (Files::default(), Vec::new());
                for listening in &listening {
                    let mut configs = settings.endpoints.iter();
                    if let Some(config) = configs.find(|config| listening.is_of(config)) {
                        let endpoint = &listening.endpoint;
                        replace(endpoint, config, &settings, &mut files, &mut mistakes);
                    }
                }
                log(&mistakes);
                if mistakes.is_empty() {
                    tracing::info!("certificates are reloaded");
                }
            }
        }));
    }
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Watches the files of certificates from now on.
pub(crate) fn changes(settings: &Settings) -> FileChanges {
    let mut paths: Vec<&Path> = Vec::new();
    let endpoints = settings.endpoints.iter();
    for tls in endpoints.filter_map(|endpoint| endpoint.tls.as_ref()) {
        let hosts = tls.hosts.iter().map(|(_, host)| host).chain(&tls.any);
        for certificate in hosts.map(|host| &host.certificate) {
            paths.push(Path::new(&certificate.path));
            paths.extend(certificate.key_path.as_ref().map(Path::new));
        }
        let authorities = &settings.ostler.client_certificate_authorities;
        paths.extend(authorities.as_ref().map(Path::new));
    }
    paths.sort();
    paths.dedup();
    FileChanges::new(&paths)
}

/// Has an endpoint tell clients what configuration and files say now. Where they say nothing that can
/// be used, it goes on as it was.
fn replace(
    endpoint: &Endpoint,
    config: &EndpointConfig,
    settings: &Settings,
    files: &mut Files,
    mistakes: &mut Vec<Mistake>,
) {
    let (Some(current), Some(wanted)) = (&endpoint.tls, &config.tls) else {
        return;
    };
    if let Some(options) = options(wanted, settings, files, mistakes)
        && let Err(error) = current.replace(&options)
    {
        mistakes.push(setup(config, &error));
    }
}

fn log(mistakes: &[Mistake]) {
    for mistake in mistakes {
        tracing::error!("a certificate stays as it was: {mistake}");
    }
}
