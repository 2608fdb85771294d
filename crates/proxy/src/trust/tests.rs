use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use super::*;

/// A certificate with what is behind it, and its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    params: CertificateParams,
}

impl Identity {
    fn certified(&self) -> Arc<CertifiedKey> {
        certified(self.chain.clone(), self.key.serialize_der())
    }

    fn der(&self) -> CertificateDer<'static> {
        self.chain[0].clone()
    }
}

fn certified(chain: Vec<CertificateDer<'static>>, key: Vec<u8>) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(chain, key))
}

/// With alternative names, and `common` as the name of its subject.
fn params(names: &[&str], common: &str) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    params
}

fn authority(mut params: CertificateParams, longest: BasicConstraints) -> CertificateParams {
    params.is_ca = IsCa::Ca(longest);
    params
}

fn self_signed(params: CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity {
        chain: vec![certificate.der().clone()],
        key,
        params,
    }
}

/// Signed by somebody, who is shown, too, unless he is the root.
fn issued(params: CertificateParams, by: &Identity, is_root: bool) -> Identity {
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&by.params, &by.key);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let behind = if is_root { &[][..] } else { &by.chain[..] };
    Identity {
        chain: [&[certificate.der().clone()][..], behind].concat(),
        key,
        params,
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Shakes hands in memory, by each version, with a destination of this name; what both say of it.
fn connect(
    shown: &Arc<CertifiedKey>,
    trusted: &[CertificateDer<'static>],
    name: &str,
) -> Result<(), rustls::Error> {
    // webpki does nothing without a root.
    let other = self_signed(params(&["other"], "other")).der();
    let store = TrustStore::new([trusted, &[other]].concat());
    let verifier = Arc::new(ServerVerifier::new(Arc::new(store), &provider()).unwrap());
    for version in [&TLS12, &TLS13] {
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(shown))));
        let name = name.to_owned().try_into().unwrap();
        let client = ClientConnection::new(Arc::new(client), name).unwrap();
        shake(client, ServerConnection::new(Arc::new(server)).unwrap())?;
    }
    Ok(())
}

/// The same with a client that shows a certificate.
fn admit(
    shown: &Arc<CertifiedKey>,
    trusted: &[CertificateDer<'static>],
) -> Result<(), rustls::Error> {
    let own = self_signed(params(&["localhost"], "localhost"));
    let store = Arc::new(TrustStore::new(trusted.to_vec()));
    let webpki = WebPkiClientVerifier::builder_with_provider(store.roots(), provider());
    let verifier = ClientVerifier::new(webpki.build().unwrap(), store, &provider());
    let verifier = Arc::new(verifier);
    for version in [&TLS12, &TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(own.der()).unwrap();
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(shown))));
        let server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(own.certified())));
        let name = "localhost".try_into().unwrap();
        let client = ClientConnection::new(Arc::new(client), name).unwrap();
        shake(client, ServerConnection::new(Arc::new(server)).unwrap())?;
    }
    Ok(())
}

fn shake(mut client: ClientConnection, mut server: ServerConnection) -> Result<(), rustls::Error> {
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &wire[..]).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut &wire[..]).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

fn is_refused(result: Result<(), rustls::Error>) -> bool {
    matches!(result, Err(rustls::Error::InvalidCertificate(_)))
}

const ANY: BasicConstraints = BasicConstraints::Unconstrained;

#[test]
fn a_certificate_that_is_itself_trusted_is_trusted_as_it_stands() {
    for params in [
        params(&["localhost"], "x"),
        authority(params(&["localhost"], "x"), ANY),
    ] {
        let own = self_signed(params);
        let trusted = [own.der()];
        assert_eq!(connect(&own.certified(), &trusted, "localhost"), Ok(()));
        assert!(is_refused(connect(
            &own.certified(),
            &trusted,
            "other.test"
        )));
        assert!(is_refused(connect(&own.certified(), &[], "localhost")));
        assert_eq!(admit(&own.certified(), &trusted), Ok(()));
        let another = self_signed(own.params.clone());
        assert!(is_refused(connect(
            &another.certified(),
            &trusted,
            "localhost"
        )));
        assert!(is_refused(admit(&another.certified(), &trusted)));
    }
}

#[test]
fn one_that_may_issue_may_be_shown() {
    let root = self_signed(authority(params(&[], "root"), ANY));
    let trusted = [root.der()];
    let leaf = issued(authority(params(&["localhost"], "x"), ANY), &root, true);
    assert_eq!(connect(&leaf.certified(), &trusted, "localhost"), Ok(()));
    assert_eq!(admit(&leaf.certified(), &trusted), Ok(()));
    // Behind an intermediate, too.
    let between = issued(authority(params(&[], "between"), ANY), &root, true);
    let leaf = issued(authority(params(&["localhost"], "x"), ANY), &between, false);
    assert_eq!(connect(&leaf.certified(), &trusted, "localhost"), Ok(()));
    assert_eq!(admit(&leaf.certified(), &trusted), Ok(()));
    // Whose issuer nobody trusts is not.
    let others = self_signed(authority(params(&[], "root"), ANY));
    let leaf = issued(authority(params(&["localhost"], "x"), ANY), &others, true);
    assert!(is_refused(connect(
        &leaf.certified(),
        &trusted,
        "localhost"
    )));
    assert!(is_refused(admit(&leaf.certified(), &trusted)));
}

#[test]
fn who_may_not_issue_vouches_for_nobody() {
    let leaf = || authority(params(&["localhost"], "x"), ANY);
    let root = self_signed(authority(params(&[], "root"), ANY));
    let trusted = [root.der()];
    let no_authority = issued(params(&["between.test"], "between"), &root, true);
    // No issuer may stand below it.
    let last = authority(params(&[], "last"), BasicConstraints::Constrained(0));
    let last = issued(last, &root, true);
    let beyond = issued(authority(params(&[], "beyond"), ANY), &last, false);
    let mut unknown = authority(params(&[], "unknown"), ANY);
    let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    critical.set_criticality(true);
    unknown.custom_extensions.push(critical);
    let unknown = issued(unknown, &root, true);
    let mut over = authority(params(&[], "over"), ANY);
    over.not_after = date_time_ymd(2020, 1, 1);
    let over = issued(over, &root, true);
    for issuer in [no_authority, beyond, unknown, over] {
        let leaf = issued(leaf(), &issuer, false);
        assert!(is_refused(connect(
            &leaf.certified(),
            &trusted,
            "localhost"
        )));
        assert!(is_refused(admit(&leaf.certified(), &trusted)));
    }
}

#[test]
fn the_subject_names_a_host_where_nothing_else_does() {
    let root = self_signed(authority(params(&[], "root"), ANY));
    let trusted = [root.der()];
    let named = |common: &str| issued(params(&[], common), &root, true).certified();
    assert_eq!(connect(&named("localhost"), &trusted, "localhost"), Ok(()));
    assert_eq!(connect(&named("A.Test"), &trusted, "a.test"), Ok(()));
    for (common, name) in [
        ("*.test", "a.test"),
        ("127.0.0.1", "127.0.0.1"),
        ("a.test", "b.test"),
        ("", "a.test"),
    ] {
        let refused = connect(&named(common), &trusted, name);
        assert!(is_refused(refused), "{common} {name}");
    }
    // Alternative names are all there is where there are any.
    let both = issued(params(&["a.test"], "b.test"), &root, true).certified();
    assert_eq!(connect(&both, &trusted, "a.test"), Ok(()));
    assert!(is_refused(connect(&both, &trusted, "b.test")));
}

#[test]
fn times_and_purposes_hold_for_what_is_trusted_as_it_stands() {
    let mut over = authority(params(&["localhost"], "x"), ANY);
    over.not_after = date_time_ymd(2020, 1, 1);
    let over = self_signed(over);
    let expired = connect(&over.certified(), &[over.der()], "localhost");
    assert!(is_refused(expired));
    let mut for_clients = authority(params(&["localhost"], "x"), ANY);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let for_clients = self_signed(for_clients);
    let trusted = [for_clients.der()];
    assert!(is_refused(connect(
        &for_clients.certified(),
        &trusted,
        "localhost"
    )));
    assert_eq!(admit(&for_clients.certified(), &trusted), Ok(()));
}

#[test]
fn version_1_is_trusted_as_it_stands_and_known_by_its_subject() {
    let pem = include_bytes!("fixtures/version1.pem");
    let der = CertificateDer::from_pem_slice(pem).unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("fixtures/version1.key")).unwrap();
    let shown = certified(vec![der.clone()], key.secret_pkcs8_der().to_vec());
    assert_eq!(
        connect(&shown, std::slice::from_ref(&der), "localhost"),
        Ok(())
    );
    assert_eq!(admit(&shown, std::slice::from_ref(&der)), Ok(()));
    assert!(is_refused(connect(
        &shown,
        std::slice::from_ref(&der),
        "a.test"
    )));
    assert!(is_refused(connect(&shown, &[], "localhost")));
    // The handshake's signature counts: somebody else's key does not do.
    let thief = certified(
        vec![der.clone()],
        KeyPair::generate().unwrap().serialize_der(),
    );
    let stolen = connect(&thief, &[der], "localhost");
    assert!(stolen.is_err(), "{stolen:?}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_said_to_be_one() {
    for params in [
        params(&["localhost"], "x"),
        authority(params(&["localhost"], "x"), ANY),
    ] {
        let own = self_signed(params);
        let error = connect(&own.certified(), &[], "localhost").unwrap_err();
        assert_eq!(error, CertificateError::UnknownIssuer.into());
    }
}
