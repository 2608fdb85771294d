//! With a real etcd, Debian's, on loopback. Without one these tests say so and pass over.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::messages::{PutRequest, PutResponse};

const PREFIX: &str = "/ostler/";

/// One member, ended with the test.
struct Member {
    process: Child,
    _data: TempDir,
    endpoint: String,
}

impl Member {
    /// `None`, said aloud, where there is no etcd.
    async fn start(scheme: &str, more: &[&str]) -> Option<Self> {
        if Command::new("etcd").arg("--version").output().is_err() {
            eprintln!(
                "\n!!! PASSED OVER: this is tested with etcd, which is not here; \
                 on Debian: apt-get install etcd-server etcd-client\n"
            );
            return None;
        }
        let data = tempfile::tempdir().unwrap();
        let [client, peer] = [unclaimed_port(), unclaimed_port()];
        let endpoint = format!("{scheme}://127.0.0.1:{client}");
        let peers = format!("http://127.0.0.1:{peer}");
        let process = Command::new("etcd")
            .arg("--data-dir")
            .arg(data.path())
            .args(["--name", "one", "--log-level", "error", "--unsafe-no-fsync"])
            .args(["--listen-client-urls", &endpoint])
            .args(["--advertise-client-urls", &endpoint])
            .args(["--listen-peer-urls", &peers])
            .args(["--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("one={peers}")])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let member = Self {
            process,
            _data: data,
            endpoint,
        };
        if scheme == "http" {
            member.connected().await;
        }
        Some(member)
    }

    fn access(&self) -> Access {
        Access {
            endpoints: vec![self.endpoint.clone()],
            user: None,
            tls: TlsAccess::default(),
        }
    }

    /// A client that is answered, when the member has begun.
    async fn connected(&self) -> Client {
        connected(&self.access()).await
    }

    fn etcdctl(&self, arguments: &[&str]) {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoint])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// A port that nobody has, none of those that the kernel gives to whoever asks for any.
fn unclaimed_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 89;
        let port = 10_240 + u16::try_from(number % 20_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

async fn connected(access: &Access) -> Client {
    let mut last = String::new();
    for _ in 0..600 {
        let answered = async {
            let client = Client::connect(access, 0).await?;
            client.range(PREFIX, true).await?;
            Ok::<_, EtcdError>(client)
        };
        match answered.await {
            Ok(client) => return client,
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("etcd is not there: {last}");
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn put(client: &Client, key: &str, value: &str) {
    let request = PutRequest {
        key: key.as_bytes().to_vec(),
        value: value.as_bytes().to_vec(),
        lease: 0,
    };
    let path = "/etcdserverpb.KV/Put";
    let _: PutResponse = client.call(path, request).await.unwrap();
}

fn pushed(document: &str) -> Pushed {
    Pushed {
        at: 1,
        by: "me".to_owned(),
        message: String::new(),
        document: document.to_owned(),
    }
}

#[tokio::test]
async fn a_watch_from_a_compacted_revision_ends_with_the_reason() {
    let Some(member) = Member::start("http", &[]).await else {
        return;
    };
    let client = member.connected().await;
    for number in 0..5 {
        put(&client, "/ostler/config/document", &number.to_string()).await;
    }
    member.etcdctl(&["compact", "4"]);
    let mut watch = client.watch("/ostler/config/", 2).await.unwrap();
    let error = loop {
        match watch.next().await {
            Ok(events) => assert!(events.is_empty()),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, EtcdError::Compacted { compacted: 4, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn pushes_are_compared_with_what_they_are_based_on_and_kept() {
    let Some(member) = Member::start("http", &[]).await else {
        return;
    };
    let client = member.connected().await;
    let first = pushed("1").write(&client, PREFIX, 0).await.unwrap();
    let second = pushed("2").write(&client, PREFIX, first).await.unwrap();
    assert!(second > first);
    for base in [0, first] {
        let error = pushed("3").write(&client, PREFIX, base).await.unwrap_err();
        assert!(
            matches!(error, EtcdError::Conflict { found, .. } if found == second),
            "{error}"
        );
    }
    let documents = Documents::read(&client, PREFIX).await.unwrap();
    assert_eq!(documents.document().unwrap().text, "2");
    assert_eq!(documents.revision(), second);
    let all = Revision::all(&client, PREFIX).await.unwrap();
    let numbers: Vec<_> = all.iter().map(|revision| revision.number).collect();
    assert_eq!(numbers, [second, first]);
    let found = Revision::find(&client, PREFIX, first).await.unwrap();
    assert_eq!(found.pushed.document, "1");
    // The oldest ones make room.
    let mut base = second;
    for number in 0..60 {
        base = pushed(&number.to_string())
            .write(&client, PREFIX, base)
            .await
            .unwrap();
    }
    let all = Revision::all(&client, PREFIX).await.unwrap();
    assert_eq!((all.len(), all[0].number), (50, base));
}

#[tokio::test]
async fn changes_are_followed_through_an_outage_and_an_empty_store_changes_nothing() {
    let Some(member) = Member::start("http", &[]).await else {
        return;
    };
    let client = member.connected().await;
    put(&client, "/ostler/config/document", "1").await;
    let (known, mut followed) = watch::channel(Followed::default());
    let access = Access {
        // A member that is never there costs nothing but a turn.
        endpoints: vec!["http://127.0.0.1:1".to_owned(), member.endpoint.clone()],
        ..member.access()
    };
    let following = tokio::spawn(follow(access, PREFIX.to_owned(), known, 0));
    let text = |followed: &Followed| followed.documents.document().map(|it| it.text.clone());
    let says = |wanted: &'static str| move |it: &Followed| text(it).as_deref() == Some(wanted);
    followed.wait_for(says("1")).await.unwrap();
    put(&client, "/ostler/config/document", "2").await;
    followed.wait_for(says("2")).await.unwrap();
    put(&client, "/ostler/config/routes/a", "{}").await;
    let with_route = |it: &Followed| it.documents.iter().any(|(key, _)| key == "routes/a");
    followed.wait_for(with_route).await.unwrap();
    // Nothing at all is no configuration.
    member.etcdctl(&["del", "--prefix", "/ostler/config/"]);
    put(&client, "/ostler/config/document", "3").await;
    followed.wait_for(says("3")).await.unwrap();
    drop(followed);
    following.await.unwrap();
}

#[tokio::test]
async fn etcd_is_asked_over_tls_with_a_certificate_and_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        let write = |ending: &str, text: &str| {
            let path = folder.path().join(format!("{name}.{ending}"));
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let paths = [
            write("pem", &certificate),
            write("key", &key.serialize_pem()),
        ];
        (paths, certificate, key.serialize_pem())
    };
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &authority).unwrap();
    let roots = roots.to_str().unwrap();
    let ([certificate, key], ..) = issue("server");
    let (mine, my_certificate, my_key) = issue("client");
    let Some(member) = Member::start(
        "https",
        &[
            "--cert-file",
            &certificate,
            "--key-file",
            &key,
            "--client-cert-auth",
            "--trusted-ca-file",
            roots,
        ],
    )
    .await
    else {
        return;
    };
    let mut access = member.access();
    access.tls = TlsAccess {
        authorities: Some(authority.into_bytes()),
        identity: Some((my_certificate.into_bytes(), my_key.into_bytes())),
    };
    let client = connected(&access).await;
    put(&client, "/ostler/config/document", "1").await;
    let tls = ["--cacert", roots, "--cert", &mine[0], "--key", &mine[1]];
    for command in [
        &["user", "add", "root:secret"][..],
        &["user", "grant-role", "root", "root"],
        &["auth", "enable"],
    ] {
        let all: Vec<_> = tls.iter().chain(command).copied().collect();
        member.etcdctl(&all);
    }
    for (user, words) in [
        (None, "permission denied"),
        (Some("wrong"), "authentication failed"),
    ] {
        access.user = user.map(|password| ("root".to_owned(), password.to_owned()));
        let asked = async {
            let client = Client::connect(&access, 0).await?;
            Documents::read(&client, PREFIX).await
        };
        let error = asked.await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    access.user = Some(("root".to_owned(), "secret".to_owned()));
    let client = Client::connect(&access, 0).await.unwrap();
    let documents = Documents::read(&client, PREFIX).await.unwrap();
    assert_eq!(documents.document().unwrap().text, "1");
    // Who shows no certificate is not let in.
    access.tls.identity = None;
    assert!(Client::connect(&access, 0).await.is_err());
}

#[tokio::test]
async fn a_front_is_listed_as_long_as_it_says_that_it_is_there() {
    let Some(member) = Member::start("http", &[]).await else {
        return;
    };
    let client = member.connected().await;
    let record = |revision| FrontRecord {
        id: "here-1".to_owned(),
        revision,
        ..FrontRecord::default()
    };
    let (sender, receiver) = watch::channel(record(1));
    let registration = Registration::new(member.access(), PREFIX.to_owned());
    let kept = tokio::spawn(registration.keep(receiver, 0));
    let until = async |wanted: &[i64]| {
        loop {
            let fronts = fronts(&client, PREFIX).await.unwrap();
            let revisions: Vec<_> = fronts.iter().map(|front| front.revision).collect();
            if revisions == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(&[1]).await;
    sender.send(record(2)).unwrap();
    until(&[2]).await;
    // Signs of life are taken.
    tokio::time::sleep(Duration::from_secs(16)).await;
    until(&[2]).await;
    drop(sender);
    kept.await.unwrap();
    until(&[]).await;
}
