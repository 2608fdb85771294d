//! YARP-compatible configuration: sources layered into one tree, read into types, validated.
//!
//! ```
//! use ostler_config::{ConfigurationTree, load};
//!
//! let mut tree = ConfigurationTree::new();
//! tree.add_json("appsettings.json", r#"{ "ReverseProxy": {
//!     "Routes": { "r1": { "ClusterId": "c1", "Match": { "Path": "/{**rest}" }, } }, // a comment
//!     "Clusters": { "c1": { "Destinations": { "d1": { "Address": "" } } } } } }"#)?;
//! tree.add_environment([(
//!     "ReverseProxy__Clusters__c1__Destinations__d1__Address".to_owned(),
//!     "http://localhost:5001/".to_owned(),
//! )]);
//! let loaded = load(&tree);
//! assert!(!loaded.diagnostics.has_errors());
//! assert_eq!(loaded.settings.proxy.clusters[0].destinations[0].address, "http://localhost:5001/");
//! # Ok::<(), ostler_config::SourceError>(())
//! ```
#![forbid(unsafe_code)]

mod cluster;
mod diagnostics;
mod error;
pub mod host_name;
mod json;
mod json_schema;
mod keys;
mod leaf;
mod load;
mod metadata;
mod nearest;
mod not_yet;
mod policies;
mod policy_kind;
mod reader;
mod reference;
mod route;
mod route_validator;
pub mod schema;
mod settings;
pub mod socket_address;
mod tree;
mod validate;

pub use diagnostics::{Diagnostic, Diagnostics, Place, Severity};
pub use error::SourceError;
pub use json_schema::json_schema;
pub use load::{Loaded, load, load_section, load_with};
pub use policy_kind::PolicyKind;
pub use reference::configuration_page;
pub use route_validator::RouteValidator;
pub use settings::{
    AccessLogConfig, AccessLogFilter, AccessLogFormat, AdminAddress, AdminConfig, AllowedHosts,
    ApplicationConfig, ApplicationInstances, ApplicationListen, ApplicationRecycle,
    CertificateConfig, ClientCertificateMode, DataProtectionConfig, DataRate, EndpointConfig,
    ForwardedField, ForwardedHeadersConfig, HealthCheckDefaults, HstsConfig, Http2Limits,
    HttpProtocols, HttpsRedirectionConfig, KernelTls, LimitsConfig, OstlerConfig, OtlpProtocol,
    Password, ProtectionKeyConfig, Settings, StaticFilesConfig, TlsConfig, TlsHostConfig,
    TracesConfig, TrustedNetworks,
};
pub use settings::{AddressFamily, DestinationResolverConfig, DestinationResolverKind, EtcdConfig};
pub use tree::{ConfigurationTree, Section, host_variable};
pub use validate::{Items, Sourced, validate};
