//! Certificates of endpoints: their forms, whose names they are for, clients' own, and files that change
//! or are no use (reference B20.3 and B3.8).

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::{
    Authority, BothWays, Front, Identity, Process, Sandbox, TlsClient, TlsSettings, WAYS,
    eventually, tls,
};
use crate::tls::{authority, kestrel, sent_field, start, start_with_file};

#[test]
fn the_certificate_is_that_of_the_name() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let certificate = |file: &str, names: &[&str]| {
        let (path, key) = authority.issue(names).write(sandbox.path(), file);
        json!({ "Path": path, "KeyPath": key })
    };
    let endpoint = json!({ "Sni": {
        "a.example": { "Certificate": certificate("exact", &["a.example"]) },
        "*.example": { "Certificate": certificate("wide", &["b.example", "x.deep.example"]) },
        "*.deep.example": {
            "Certificate": certificate("deep", &["deep.of.deep.example", "x.deep.example"]),
            "SslProtocols": [ "Tls12" ] },
    } });
    let both = BothWays::new(&sandbox);
    let front = start(
        &sandbox,
        &both.configuration("", &kestrel(&sandbox, endpoint)),
    );
    let shown = |name: &str| {
        let mut settings = TlsSettings::new(&authority);
        settings.name = name;
        let mut client = settings.try_connect(front.port)?;
        let stream = client.stream();
        let certificate = stream.conn.peer_certificates().unwrap()[0].to_vec();
        let version = stream.conn.protocol_version().unwrap();
        assert_eq!(
            client.ask("GET", "/delegated/echo").json()["server_name"],
            name
        );
        std::io::Result::Ok((certificate, version))
    };
    let der = |file: &str| {
        let pem = std::fs::read(sandbox.path().join(file)).unwrap();
        use rustls::pki_types::pem::PemObject;
        rustls::pki_types::CertificateDer::from_pem_slice(&pem)
            .unwrap()
            .to_vec()
    };
    let (new, old) = (
        rustls::ProtocolVersion::TLSv1_3,
        rustls::ProtocolVersion::TLSv1_2,
    );
    assert_eq!(shown("a.example").unwrap(), (der("exact.pem"), new));
    assert_eq!(shown("b.example").unwrap(), (der("wide.pem"), new));
    // The longest suffix, with versions of its own; what it does not say is the endpoint's.
    assert_eq!(shown("x.deep.example").unwrap(), (der("deep.pem"), old));
    // A name that is none of these is refused, the endpoint's own certificate notwithstanding.
    for other in ["localhost", "example", "a.example.org"] {
        let error = shown(other).unwrap_err().to_string();
        assert!(error.contains("UnrecognisedName"), "{other}: {error}");
    }
}

#[test]
fn a_mark_of_an_encoding_before_a_certificate_or_a_key_is_passed_over() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let (path, key) = authority
        .issue(&["localhost"])
        .write(sandbox.path(), "marked");
    let utf_16 = |text: &str| {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, utf_16(&text)).unwrap();
    let endpoint = json!({ "Certificate": { "Path": path, "KeyPath": key } });
    let both = BothWays::new(&sandbox);
    let front = start(
        &sandbox,
        &both.configuration("", &kestrel(&sandbox, endpoint)),
    );
    let mut client = TlsSettings::new(&authority).connect(front.port);
    assert_eq!(client.ask("GET", "/delegated/echo").status, 200);
}

/// Runs openssl; false, with a message, where it is not there.
fn openssl(folder: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("openssl");
    match command.args(arguments).current_dir(folder).output() {
        Ok(output) => {
            assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
            true
        }
        Err(error) => {
            eprintln!("openssl cannot be run ({error}); nothing is tested");
            false
        }
    }
}

#[test]
fn certificates_are_read_from_pkcs12_and_encrypted_pem() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path();
    let authority = authority(&sandbox);
    std::fs::write(folder.join("root.pem"), &authority.pem).unwrap();
    let export =
        "pkcs12 -export -inkey server.key -in server.pem -certfile root.pem -passout pass:secret";
    let all = [
        format!("{export} -out new.pfx"),
        format!("{export} -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1 -out old.pfx"),
        "pkcs8 -topk8 -in server.key -passout pass:secret -out encrypted.key".to_owned(),
    ];
    for arguments in &all {
        if !openssl(folder, &arguments.split(' ').collect::<Vec<_>>()) {
            return;
        }
    }
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let together = format!("{}{}", read("server.pem"), read("encrypted.key"));
    std::fs::write(folder.join("together.pem"), together).unwrap();
    let both = BothWays::new(&sandbox);
    let path = |file: &str| folder.join(file);
    for certificate in [
        json!({ "Path": path("new.pfx"), "Password": "secret" }),
        json!({ "Path": path("old.pfx"), "Password": "secret" }),
        json!({ "Path": path("together.pem"), "Password": "secret" }),
        json!({ "Path": path("server.pem"), "KeyPath": path("encrypted.key"), "Password": "secret" }),
    ] {
        let endpoint = kestrel(&sandbox, json!({ "Certificate": certificate }));
        let front = start(&sandbox, &both.configuration("", &endpoint));
        let mut client = TlsSettings::new(&authority).connect(front.port);
        assert_eq!(
            client.ask("GET", "/delegated/").status,
            200,
            "{certificate}"
        );
    }
}

#[test]
fn client_certificates_are_required_or_allowed_and_reach_the_destination() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let clients = Authority::new("Clients");
    let (known, stranger) = (
        clients.issue(&["shop"]),
        Authority::new("Others").issue(&["shop"]),
    );
    let roots = sandbox.path().join("clients.pem");
    std::fs::write(&roots, &clients.pem).unwrap();
    let both = BothWays::new(&sandbox);
    let route = r#""Transforms": [ { "ClientCert": "X-Client-Cert" } ],"#;
    let start_with = |mode: &str| {
        let endpoint = kestrel(&sandbox, json!({ "ClientCertificateMode": mode }));
        let ostler = json!({ "Tls": { "ClientCertificateAuthorities": roots } });
        let sections = format!(r#"{endpoint} "Ostler": {ostler},"#);
        // Of each its own: a front follows its file.
        let path = sandbox.path().join(format!("{mode}.json"));
        std::fs::write(&path, both.configuration(route, &sections)).unwrap();
        start_with_file(&sandbox, &path, "info")
    };
    let ask = |front: &Front, identity: Option<&Identity>, way: &str| {
        let mut settings = TlsSettings::new(&authority);
        settings.identity = identity;
        let mut client = settings.try_connect(front.port)?;
        let request =
            format!("GET {way}/echo HTTP/1.1\r\nHost: x\r\nX-Client-Cert: forged\r\n\r\n");
        client.try_send(request)?;
        let response = client.try_response()?;
        std::io::Result::Ok(sent_field(&response.json(), "x-client-cert"))
    };
    let encoded = base64::engine::general_purpose::STANDARD.encode(&known.der);
    let required = start_with("RequireCertificate");
    let allowed = start_with("AllowCertificate");
    let unasked = start_with("NoCertificate");
    for way in WAYS {
        for front in [&required, &allowed] {
            assert_eq!(
                ask(front, Some(&known), way).unwrap(),
                [encoded.as_str()],
                "{way}"
            );
            // In TLS 1.3 the client is done before it learns of it.
            let refused = ask(front, Some(&stranger), way).unwrap_err().to_string();
            assert!(
                refused.contains("UnknownCA") || refused.contains("UnknownCa"),
                "{refused}"
            );
        }
        let refused = ask(&required, None, way).unwrap_err().to_string();
        assert!(refused.contains("CertificateRequired"), "{refused}");
        assert_eq!(ask(&allowed, None, way).unwrap(), [""; 0]);
        assert_eq!(ask(&unasked, Some(&known), way).unwrap(), [""; 0]);
    }
    // A resumed session is the same client's.
    let mut settings = TlsSettings::new(&authority);
    settings.identity = Some(&known);
    let config = settings.config();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut client = tls(required.port, "localhost", config.clone());
        let echo = client.ask("GET", "/forwarded/echo").json();
        assert_eq!(sent_field(&echo, "x-client-cert"), [encoded.as_str()]);
        kinds.push(client.stream().conn.handshake_kind().unwrap());
    }
    let (full, resumed) = (rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed);
    assert_eq!(kinds, [full, resumed]);
}

#[test]
fn a_certificate_that_changes_is_shown_without_a_restart() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let front = start(
        &sandbox,
        &both.configuration("", &kestrel(&sandbox, json!({}))),
    );
    let settings = TlsSettings::new(&authority);
    let shown = || {
        let mut client = settings.try_connect(front.port).unwrap();
        client.stream().conn.peer_certificates().unwrap()[0].to_vec()
    };
    let mut before = settings.connect(front.port);
    assert_eq!(before.ask("GET", "/forwarded/").status, 200);
    let first = shown();
    // A key that is not the certificate's changes nothing, and is said.
    let other = authority.issue(&["localhost"]);
    std::fs::write(sandbox.path().join("server.key"), &other.key).unwrap();
    eventually("the mismatch is noticed", || {
        let lines = front.process.errors();
        lines
            .iter()
            .any(|line| line.contains("does not belong to its first certificate"))
    });
    assert_eq!(shown(), first);
    other.write(sandbox.path(), "server");
    eventually("the new certificate is shown", || {
        shown() == other.der.to_vec()
    });
    // Whoever was there before goes on.
    assert_eq!(before.ask("GET", "/delegated/").status, 200);
    // The configuration may name other files, too.
    let (path, key) = authority
        .issue(&["localhost"])
        .write(sandbox.path(), "third");
    let third = kestrel(
        &sandbox,
        json!({ "Certificate": { "Path": path, "KeyPath": key } }),
    );
    sandbox.configuration(&both.configuration("", &third));
    front.process.signal("HUP");
    eventually("the third certificate is shown", || {
        let now = shown();
        now != first && now != other.der.to_vec()
    });
    assert_eq!(before.ask("GET", "/forwarded/").status, 200);
    let warned = front.process.errors();
    assert!(
        !warned.iter().any(|line| line.contains("takes a restart")),
        "{warned:?}"
    );
}

/// Exit code and standard error of `ostler check`.
fn check(sandbox: &Sandbox, kestrel: Value) -> (i32, String) {
    let json = json!({ "Kestrel": kestrel });
    let path = sandbox.configuration(&json.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    let output = command
        .arg("check")
        .arg("--config")
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn check_finds_certificates_that_cannot_be_used() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let path = |file: &str| sandbox.path().join(file);
    let (_, other) = authority
        .issue(&["localhost"])
        .write(sandbox.path(), "other");
    std::fs::write(path("nonsense.pfx"), "nonsense").unwrap();
    let good = json!({ "Path": path("server.pem"), "KeyPath": path("server.key") });
    let endpoint = |certificate: Value| json!({ "Endpoints": { "a": { "Url": "https://*:8443", "Certificate": certificate } } });
    let at = "Kestrel:Endpoints:a:Certificate";
    assert_eq!(check(&sandbox, endpoint(good.clone())).0, 0);
    for (certificate, at, words) in [
        (
            json!({ "Path": path("gone.pem") }),
            format!("{at}:Path"),
            "cannot be read",
        ),
        (
            json!({ "Path": path("server.pem"), "KeyPath": path("gone.key") }),
            format!("{at}:KeyPath"),
            "cannot be read",
        ),
        (
            json!({ "Path": path("server.pem") }),
            at.to_owned(),
            "no private key",
        ),
        (
            json!({ "Path": path("server.pem"), "KeyPath": other }),
            at.to_owned(),
            "does not belong",
        ),
        (
            json!({ "Path": path("nonsense.pfx") }),
            at.to_owned(),
            "neither PEM nor PKCS#12",
        ),
        (
            json!({ "Subject": "localhost", "Store": "My" }),
            format!("{at}:Subject"),
            "no certificate store",
        ),
    ] {
        let (code, text) = check(&sandbox, endpoint(certificate));
        assert_eq!(code, 64, "{text}");
        let line = text.lines().find(|line| line.contains(words));
        let line = line.unwrap_or_else(|| panic!("{words}: {text}"));
        assert!(line.starts_with(&format!("error: {at}: ")), "{line}");
        assert!(line.contains("ostler.json:1:"), "{line}");
    }
    let (code, text) = check(
        &sandbox,
        json!({ "Endpoints": { "a": { "Url": "https://*:8443" } } }),
    );
    assert_eq!(code, 64);
    assert!(text.contains("Kestrel:Certificates:Default"), "{text}");
    // One certificate for all, of URLs too.
    let all = json!({ "Certificates": { "Default": good } });
    let config = sandbox.configuration(&json!({ "Kestrel": all }).to_string());
    let process: Process = sandbox.ostler(&[
        "run",
        "--config",
        config.to_str().unwrap(),
        "--urls",
        "https://127.0.0.1:0",
        "--threads",
        "1",
    ]);
    let line = process.line();
    let port = line
        .strip_prefix("listening on https://127.0.0.1:")
        .expect(&line);
    let mut client: TlsClient = TlsSettings::new(&authority).connect(port.parse().unwrap());
    assert_eq!(client.ask("GET", "/").status, 404);
}
