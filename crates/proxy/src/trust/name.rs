//! Whether a certificate is that of a host.

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::AttributeTypeAndValue;

use super::path::parse;

/// By its alternative names, as webpki has it; by the common name of its subject where there is none, as
/// .NET: without case, without wildcards, and for no address.
pub(super) fn is_of(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Some(parsed) = parse(certificate) else {
        return false;
    };
    if has_alternative_names(&parsed) {
        let parsed = EndEntityCert::try_from(certificate);
        return parsed.is_ok_and(|parsed| parsed.verify_is_valid_for_subject_name(name).is_ok());
    }
    let ServerName::DnsName(name) = name else {
        return false;
    };
    let mut names = parsed.subject().iter_common_name();
    match (
        names.next().map(AttributeTypeAndValue::as_str),
        names.next(),
    ) {
        (Some(Ok(only)), None) => only.eq_ignore_ascii_case(name.as_ref()),
        _ => false,
    }
}

/// One that cannot be read counts as there: nothing else is believed then.
fn has_alternative_names(certificate: &X509Certificate<'_>) -> bool {
    match certificate.subject_alternative_name() {
        Err(_) => true,
        Ok(None) => false,
        Ok(Some(names)) => names
            .value
            .general_names
            .iter()
            .any(|name| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_))),
    }
}
