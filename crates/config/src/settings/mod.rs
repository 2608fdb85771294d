//! Settings outside `ReverseProxy`: where to listen, limits, and our own section.

mod access_log;
mod admin;
mod allowed_hosts;
mod applications;
mod data_protection;
mod data_rate;
pub(crate) mod destination_resolver;
mod endpoints;
mod etcd;
mod forwarded_headers;
mod health_checks;
mod host;
mod http2_limits;
mod http_sys;
mod https_only;
mod kernel_tls;
mod kestrel;
mod limits;
mod static_files;
mod timeout;
mod traces;

pub use access_log::{AccessLogConfig, AccessLogFilter, AccessLogFormat};
pub use admin::{AdminAddress, AdminConfig};
pub use allowed_hosts::AllowedHosts;
pub use applications::{
    ApplicationConfig, ApplicationInstances, ApplicationListen, ApplicationRecycle,
};
pub use data_protection::{DataProtectionConfig, ProtectionKeyConfig};
pub use data_rate::DataRate;
pub use destination_resolver::{AddressFamily, DestinationResolverConfig, DestinationResolverKind};
pub use endpoints::{
    CertificateConfig, ClientCertificateMode, EndpointConfig, HttpProtocols, Password, TlsConfig,
    TlsHostConfig, TrustedNetworks,
};
pub use etcd::EtcdConfig;
pub use forwarded_headers::{ForwardedField, ForwardedHeadersConfig};
pub use health_checks::HealthCheckDefaults;
pub use http2_limits::Http2Limits;
pub use https_only::{HstsConfig, HttpsRedirectionConfig};
pub use kernel_tls::KernelTls;
pub use limits::LimitsConfig;
pub use static_files::StaticFilesConfig;
pub use traces::{OtlpProtocol, TracesConfig};

use std::time::Duration;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf;
use crate::reader::Reader;
use crate::schema::ProxyConfig;
use crate::tree::ConfigurationTree;

/// Most threads that make sense: a mistyped number is not to start a million.
const MOST_THREADS: i32 = 1024;

/// Everything a front is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where to listen, and how. The first of these that says anything:
    ///
    /// 1. `Kestrel:Endpoints`;
    /// 2. `Urls`, separated by `;`;
    /// 3. `HTTP_PORTS` and `HTTPS_PORTS`, separated by `;`, on all addresses;
    /// 4. `http://localhost:5000`.
    pub endpoints: Vec<EndpointConfig>,
    /// `ShutdownTimeoutSeconds`: how long exchanges under way may take when the front is stopped.
    /// Absent is up to the program.
    pub shutdown_timeout: Option<Duration>,
    /// The `ReverseProxy` section.
    pub proxy: ProxyConfig,
    /// The `Ostler` section and limits.
    pub ostler: OstlerConfig,
    /// `StaticFiles`, `NavigationFallback`, and where files are.
    pub static_files: StaticFilesConfig,
}

/// The `Ostler` section: what YARP has no setting for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OstlerConfig {
    /// `Ostler:Threads`, at most 1024; 0, the default, is one a CPU.
    pub threads: usize,
    /// `Ostler:RuntimeFolder`, where request queues live; absent is what the environment says.
    pub runtime_folder: Option<String>,
    /// `Ostler:TrustedUsers`: names or numbers of users whose targets are handed client sockets.
    /// None by default; the front's own user always is.
    pub trusted_users: Vec<String>,
    /// `Ostler:QueueGroup`: the name or number of the group whose members may open queues. Absent:
    /// whoever may write to the folder of queues, as it is.
    pub queue_group: Option<String>,
    /// `Ostler:DataProtection`.
    pub data_protection: DataProtectionConfig,
    /// `Ostler:HealthChecks`: what YARP lets code alone set.
    pub health_checks: HealthCheckDefaults,
    /// `Ostler:Tls:ClientCertificateAuthorities`: a PEM file of those who vouch for clients. Absent is
    /// what the system trusts.
    pub client_certificate_authorities: Option<String>,
    /// `Ostler:ErrorPages:Folder`.
    pub error_pages: Option<String>,
    /// `HttpsRedirection`, where it is in force.
    pub https_redirection: Option<HttpsRedirectionConfig>,
    /// `Hsts`, where it is in force.
    pub hsts: Option<HstsConfig>,
    /// `Ostler:AccessLog`; absent is no log.
    pub access_log: Option<AccessLogConfig>,
    /// `Ostler:Applications`, which the front does not read.
    pub applications: Vec<ApplicationConfig>,
    /// `Ostler:Traces`; absent is no traces.
    pub traces: Option<TracesConfig>,
    /// `Ostler:Admin`; absent is no endpoint for operators.
    pub admin: Option<AdminConfig>,
    /// `Ostler:KernelTls`.
    pub kernel_tls: KernelTls,
    /// `Kestrel:Limits`, `HttpSys` and `Ostler:Limits`.
    pub limits: LimitsConfig,
    /// `AllowedHosts`.
    pub allowed_hosts: AllowedHosts,
    /// `ForwardedHeaders`; absent where no field of a request is believed.
    pub forwarded_headers: Option<ForwardedHeadersConfig>,
    /// `Ostler:DestinationResolver`.
    pub destination_resolver: DestinationResolverConfig,
    /// `Ostler:Etcd`; absent is no configuration but that of files.
    pub etcd: Option<EtcdConfig>,
}

impl Settings {
    /// Reads all but the `ReverseProxy` section and what that was read with, which are given.
    pub(crate) fn read(
        tree: &ConfigurationTree,
        proxy: ProxyConfig,
        destination_resolver: DestinationResolverConfig,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let endpoints = endpoints::read(tree, diagnostics);
        let (https_redirection, hsts) = https_only::read(tree, &endpoints, diagnostics);
        Self {
            endpoints,
            shutdown_timeout: host::read(tree, diagnostics),
            ostler: OstlerConfig {
                destination_resolver,
                https_redirection,
                hsts,
                ..ostler(tree, &proxy, diagnostics)
            },
            static_files: static_files::read(tree, diagnostics),
            proxy,
        }
    }
}

fn ostler(
    tree: &ConfigurationTree,
    proxy: &ProxyConfig,
    diagnostics: &mut Diagnostics,
) -> OstlerConfig {
    let section = tree.section("Ostler:DataProtection");
    let data_protection = data_protection::read(section.clone(), diagnostics);
    data_protection::warn_of_missing_keys(&section, proxy, &data_protection, diagnostics);
    let limits = limits(tree, diagnostics);
    kestrel::warn(&tree.section("Kestrel"), diagnostics);
    let allowed_hosts = allowed_hosts::read(&tree.section("AllowedHosts"), diagnostics);
    let forwarded_headers = forwarded_headers::read(tree, diagnostics);
    let health_checks = health_checks::read(tree.section("Ostler:HealthChecks"), diagnostics);
    let mut reader = Reader::new(
        tree.section("Ostler:ErrorPages"),
        &keys::ERROR_PAGES,
        diagnostics,
    );
    let error_pages = reader.text("Folder");
    reader.finish();
    let access_log = access_log::read(tree.section("Ostler:AccessLog"), diagnostics);
    let etcd = etcd::read(tree.section("Ostler:Etcd"), diagnostics);
    let traces = traces::read(tree.section("Ostler:Traces"), diagnostics);
    let admin = admin::read(tree.section("Ostler:Admin"), diagnostics);
    let mut reader = Reader::new(tree.section("Ostler:Tls"), &keys::TLS, diagnostics);
    let client_certificate_authorities = reader.text("ClientCertificateAuthorities");
    reader.finish();
    let mut reader = Reader::new(tree.section("Ostler"), &keys::OSTLER, diagnostics);
    let threads = reader.parsed("Threads", |text| match leaf::int32(text)? {
        threads @ 0..=MOST_THREADS => Ok(threads.unsigned_abs() as usize),
        _ => Err(format!("{text:?} is not from 0 to {MOST_THREADS}")),
    });
    let runtime_folder = reader.text("RuntimeFolder");
    let queue_group = reader.text("QueueGroup");
    let kernel_tls = kernel_tls::read(&mut reader);
    let mut trusted_users = Vec::new();
    for (at, user) in reader.list("TrustedUsers") {
        match user.as_str() {
            "" => reader.error(&at, "the user is empty", Some("remove it".to_owned())),
            _ => trusted_users.push(user),
        }
    }
    let applications = reader.entries("Applications");
    reader.finish();
    let applications = applications::read(applications, diagnostics);
    OstlerConfig {
        threads: threads.unwrap_or_default(),
        runtime_folder,
        trusted_users,
        queue_group,
        data_protection,
        health_checks,
        client_certificate_authorities,
        error_pages,
        https_redirection: None,
        hsts: None,
        access_log,
        applications,
        admin,
        traces,
        kernel_tls,
        limits,
        allowed_hosts,
        forwarded_headers,
        destination_resolver: DestinationResolverConfig::default(),
        etcd,
    }
}

/// The first of these that says something about a limit: `Kestrel:Limits`, `HttpSys`.
fn limits(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> LimitsConfig {
    let kestrel = tree.section("Kestrel:Limits");
    let mut limits = limits::read(kestrel.clone(), diagnostics);
    let http_sys = tree.section("HttpSys");
    http_sys::read(http_sys, &kestrel, &mut limits, diagnostics);
    limits::read_own(tree.section("Ostler:Limits"), &mut limits, diagnostics);
    limits
}
