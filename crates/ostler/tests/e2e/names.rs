//! Names of destinations (reference A9.1): one destination for each address, followed as they change, by a
//! real DNS server; and services of Microsoft's service discovery.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::load::{Clients, Load, Ports};
use crate::support::{
    Authority, Destination, Front, NameServer, Process, Sandbox, TlsSettings, eventually,
};

/// Applications at 127.0.0.1, 127.0.0.2 and so on, on one port.
struct Applications {
    processes: Vec<Process>,
    port: u16,
}

impl Applications {
    fn start(sandbox: &Sandbox, count: usize) -> Self {
        let (first, address) = sandbox.listening_target("a1");
        let port = address.trim_end_matches('/').rsplit(':').next().unwrap();
        let mut processes = vec![first];
        for number in 2..=count {
            let listen = format!("127.0.0.{number}:{port}");
            let queue = format!("a{number}");
            processes.push(sandbox.target(&queue, &["--listen", &listen]));
        }
        Self {
            processes,
            port: port.parse().unwrap(),
        }
    }

    fn address(&self) -> String {
        format!("http://shop.test:{}/", self.port)
    }

    fn pids(&self, which: &[usize]) -> BTreeSet<u32> {
        which.iter().map(|at| self.processes[*at].pid()).collect()
    }
}

fn resolver(server: &NameServer) -> Value {
    json!({ "Type": "Dns", "RefreshPeriod": "00:00:01", "NameServers": [server.address()] })
}

fn configuration(resolver: Value, address: &str, cluster: Value) -> String {
    let mut all = json!({ "LoadBalancingPolicy": "RoundRobin",
        "Destinations": { "d": { "Address": address } } });
    all.as_object_mut()
        .unwrap()
        .extend(cluster.as_object().unwrap().clone());
    json!({
        "Ostler": { "DestinationResolver": resolver },
        "ReverseProxy": {
            "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
            "Clusters": { "c": all },
        },
    })
    .to_string()
}

/// Who answers, of as many requests as would ask each destination.
fn answering(front: &Front) -> BTreeSet<u32> {
    (0..6).map(|_| front.ask("GET", "/").pid()).collect()
}

fn is_said(front: &Front, words: &str) -> bool {
    let errors = front.process.errors();
    errors.iter().any(|line| line.contains(words))
}

#[test]
fn addresses_that_change_under_load_fail_no_request_and_are_used_within_the_period() {
    let sandbox = Sandbox::new();
    let Some(mut server) = NameServer::new(&sandbox, &[]) else {
        return;
    };
    let mut applications = Applications::start(&sandbox, 3);
    server.set(&[("shop.test", &["127.0.0.1", "127.0.0.2"])]);
    server.start();
    let json = configuration(resolver(&server), &applications.address(), json!({}));
    let front = sandbox.front(&json);
    assert_eq!(answering(&front), applications.pids(&[0, 1]));
    let load = Load::default();
    let clients = Clients {
        http1: 6,
        tls: 0,
        http2: 2,
    };
    let ports = Ports {
        clear: front.port,
        tls: 0,
    };
    let authority = Authority::new("Nobody asks for it");
    load.during(clients, ports, &TlsSettings::new(&authority), || {
        server.set(&[("shop.test", &["127.0.0.2", "127.0.0.3"])]);
        eventually("the new address is used and the old one is not", || {
            answering(&front) == applications.pids(&[1, 2])
        });
        // The old one ends with what it has begun.
        let old = applications.processes.remove(0);
        old.signal("TERM");
        assert!(old.wait().success());
        let before = load.answered();
        eventually("many more are answered", || {
            let now = load.answered();
            before[0] + 200 < now[0] && before[2] + 200 < now[2]
        });
    });
}

#[test]
fn a_dead_resolver_changes_nothing_and_is_followed_when_it_is_back() {
    let sandbox = Sandbox::new();
    let Some(mut server) = NameServer::new(&sandbox, &[]) else {
        return;
    };
    let applications = Applications::start(&sandbox, 2);
    server.set(&[("shop.test", &["127.0.0.1"])]);
    server.start();
    let json = configuration(resolver(&server), &applications.address(), json!({}));
    let front = sandbox.front(&json);
    assert_eq!(answering(&front), applications.pids(&[0]));
    server.kill();
    eventually("it is told", || {
        is_said(&front, "its last addresses stay in force")
    });
    assert_eq!(answering(&front), applications.pids(&[0]));
    // A configuration that is read meanwhile changes nothing of that.
    let more = json!({ "LoadBalancingPolicy": "Random" });
    let json = configuration(resolver(&server), &applications.address(), more);
    sandbox.configuration(&json);
    eventually("it is read", || {
        is_said(&front, "the configuration is reloaded")
    });
    assert_eq!(answering(&front), applications.pids(&[0]));
    // A name that is gone is no reason either.
    server.set(&[]);
    server.start();
    eventually("it is told", || is_said(&front, "there is no such name"));
    assert_eq!(answering(&front), applications.pids(&[0]));
    server.set(&[("shop.test", &["127.0.0.2"])]);
    eventually("the new address is used", || {
        answering(&front) == applications.pids(&[1])
    });
}

#[test]
fn a_front_starts_without_a_resolver_and_finds_its_destinations_later() {
    let sandbox = Sandbox::new();
    let Some(mut server) = NameServer::new(&sandbox, &[]) else {
        return;
    };
    let applications = Applications::start(&sandbox, 1);
    server.set(&[("shop.test", &["127.0.0.1"])]);
    let json = configuration(resolver(&server), &applications.address(), json!({}));
    let front = sandbox.front(&json);
    assert_eq!(front.ask("GET", "/").status, 503);
    eventually("it is told", || {
        is_said(&front, "it has no destinations until it can")
    });
    server.start();
    eventually("it is answered", || front.ask("GET", "/").status == 200);
}

#[test]
fn the_resolver_is_switched_on_and_off_by_a_reload() {
    let sandbox = Sandbox::new();
    let Some(mut server) = NameServer::new(&sandbox, &[]) else {
        return;
    };
    let applications = Applications::start(&sandbox, 2);
    server.set(&[("shop.test", &["127.0.0.1", "127.0.0.2"])]);
    server.start();
    let here = format!("http://127.0.0.1:{}/", applications.port);
    let front = sandbox.front(&configuration(json!({}), &here, json!({})));
    assert_eq!(answering(&front), applications.pids(&[0]));
    sandbox.configuration(&configuration(
        resolver(&server),
        &applications.address(),
        json!({}),
    ));
    eventually("names are looked up", || {
        answering(&front) == applications.pids(&[0, 1])
    });
    sandbox.configuration(&configuration(json!({ "Type": "None" }), &here, json!({})));
    eventually("they no longer are", || {
        answering(&front) == applications.pids(&[0])
    });
    server.set(&[("shop.test", &["127.0.0.2"])]);
    assert!(!is_said(&front, "takes a restart"));
}

#[test]
fn services_say_the_ports_and_the_lowest_priority_counts() {
    let sandbox = Sandbox::new();
    let (one, first) = sandbox.listening_target("a1");
    let (two, second) = sandbox.listening_target("a2");
    let (_spare, third) = sandbox.listening_target("a3");
    let port = |address: &str| {
        let port = address.trim_end_matches('/').rsplit(':').next().unwrap();
        port.to_owned()
    };
    let record = |target: &str, address: &str, priority: u16| {
        let port = port(address);
        format!("--srv-host=_http._tcp.shop.test,{target},{port},{priority},5")
    };
    let records = [
        record("one.test", &first, 1),
        record("two.test", &second, 1),
        record("one.test", &third, 2),
    ];
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    let Some(mut server) = NameServer::new(&sandbox, &records) else {
        return;
    };
    server.set(&[("one.test", &["127.0.0.1"]), ("two.test", &["127.0.0.1"])]);
    server.start();
    let front = sandbox.front(&configuration(
        resolver(&server),
        "http://_http._tcp.shop.test/",
        json!({}),
    ));
    assert_eq!(answering(&front), BTreeSet::from([one.pid(), two.pid()]));
}

#[test]
fn host_and_the_name_in_tls_stay_the_names() {
    let sandbox = Sandbox::new();
    let Some(mut server) = NameServer::new(&sandbox, &[]) else {
        return;
    };
    server.set(&[("shop.test", &["127.0.0.1"])]);
    server.start();
    let destination = Destination::new();
    let port = destination.address();
    let port = port.trim_end_matches('/').rsplit(':').next().unwrap();
    let front = sandbox.front(&configuration(
        resolver(&server),
        &format!("http://Shop.test:{port}/"),
        json!({}),
    ));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: client.example\r\n\r\n");
    let head = destination.accept().head();
    assert_eq!(head.all("host"), [format!("shop.test:{port}")]);

    // The certificate is for the name alone.
    let authority = Authority::new("Test Root");
    let (certificate, key) = authority
        .issue(&["shop.test"])
        .write(sandbox.path(), "shop");
    let roots = sandbox.path().join("roots.pem");
    std::fs::write(&roots, &authority.pem).unwrap();
    let tls = format!("{},{}", certificate.display(), key.display());
    let target = sandbox.ostler(&[
        "sample-target",
        "--queue",
        "tls",
        "--listen",
        "127.0.0.1:0",
        "--tls",
        &tls,
    ]);
    let line = target.line();
    let port = line.rsplit(':').next().unwrap();
    let address = format!("https://shop.test:{port}/");
    let front = sandbox.front_in(
        &configuration(resolver(&server), &address, json!({})),
        &[("SSL_CERT_FILE", roots.to_str().unwrap())],
    );
    assert_eq!(front.ask("GET", "/").status, 200);
}

#[test]
fn affinity_holds_by_address_while_others_come_and_go() {
    let sandbox = Sandbox::new();
    let Some(mut server) = NameServer::new(&sandbox, &[]) else {
        return;
    };
    let applications = Applications::start(&sandbox, 3);
    server.set(&[("shop.test", &["127.0.0.1", "127.0.0.2"])]);
    server.start();
    let affinity = json!({ "SessionAffinity": { "Enabled": true, "Policy": "HashCookie",
        "AffinityKeyName": "Key" } });
    let json = configuration(resolver(&server), &applications.address(), affinity);
    let front = sandbox.front(&json);
    let response = front.ask("GET", "/");
    let stays = usize::from(response.pid() == applications.processes[1].pid());
    let cookie = response.field("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let ask = || {
        let mut client = front.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"
        ));
        client.response().pid()
    };
    let kept = format!("127.0.0.{}", stays + 1);
    server.set(&[("shop.test", &["127.0.0.3", &kept])]);
    eventually("the third is used", || {
        answering(&front) == applications.pids(&[stays, 2])
    });
    for _ in 0..6 {
        assert_eq!(ask(), applications.processes[stays].pid());
    }
}

/// A front whose cluster has one destination, which names a service with one endpoint.
fn before_a_service(sandbox: &Sandbox, address: &str, endpoint: &str, host: Value) -> Front {
    sandbox.front(
        &json!({
            "Ostler": { "DestinationResolver": { "Type": "ServiceDiscovery" } },
            "Services": { "catalog": { "http": [endpoint] } },
            "ReverseProxy": {
                "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
                "Clusters": { "c": { "Destinations": {
                    "d": { "Address": address, "Host": host } } } },
            },
        })
        .to_string(),
    )
}

/// As `Microsoft.Extensions.ServiceDiscovery.Yarp` 10.11.0 did.
#[test]
fn a_service_is_asked_by_its_endpoint_as_host_unless_the_destination_sets_one() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let endpoint = destination.authority();
    let in_clear = format!("http://{endpoint}");
    for (address, endpoint, host, wanted) in [
        (
            "http://catalog/",
            endpoint.as_str(),
            Value::Null,
            endpoint.as_str(),
        ),
        ("http://catalog:8080/", &endpoint, Value::Null, &endpoint),
        ("http://_http.catalog/", &endpoint, Value::Null, &endpoint),
        ("https+http://catalog/", &in_clear, Value::Null, &endpoint),
        (
            "http://catalog/",
            &endpoint,
            json!("shop.test"),
            "shop.test",
        ),
    ] {
        let front = before_a_service(&sandbox, address, endpoint, host);
        let mut client = front.connect();
        client.send("GET / HTTP/1.1\r\nHost: client.example\r\n\r\n");
        let head = destination.accept().head();
        assert_eq!(head.all("host"), [wanted], "{address}");
    }
}

#[test]
fn an_endpoint_without_a_scheme_is_spoken_to_over_tls_alone_where_either_would_do() {
    let sandbox = Sandbox::new();
    let (_application, address) = sandbox.listening_target("a1");
    let endpoint = address
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let front = before_a_service(&sandbox, "https+http://catalog/", &endpoint, Value::Null);
    assert!(is_said(&front, "names no scheme"));
    assert_eq!(front.ask("GET", "/").status, 502);
    eventually("the log says why", || {
        is_said(
            &front,
            "what it says is not TLS, and nothing is asked of it in clear",
        )
    });
}
