//! What the examples stand on: destinations that say their name, a front, and a client.
#![allow(dead_code, reason = "each example uses what it needs")]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use ostler_config::schema::{
    ClusterConfig, DestinationConfig, MatchConfig, ProxyConfig, RouteConfig,
};
use ostler_model::ProxyModel;
use ostler_proxy::{Endpoint, Front, FrontOptions, ListenUrl, Pipeline};

pub(crate) type Failure = Box<dyn Error>;

/// Starts a front on a port of its own.
pub(crate) fn front(model: &Arc<ProxyModel>, pipeline: Pipeline) -> Result<Front, Failure> {
    let options = FrontOptions {
        endpoints: vec![Endpoint::clear(ListenUrl::parse("http://127.0.0.1:0")?)],
        threads: 1,
        ..FrontOptions::default()
    };
    Ok(Front::start(Arc::clone(model), pipeline, &options)?)
}

pub(crate) fn address(front: &Front) -> Result<SocketAddr, Failure> {
    let first = front.addresses().into_iter().next();
    Ok(first.ok_or("nothing is listened on")?)
}

pub(crate) fn stop(front: Front) {
    front.drain();
    front.stop();
    front.join();
}

/// A route of this path to a cluster.
pub(crate) fn route(id: &str, path: &str, cluster: &str) -> RouteConfig {
    RouteConfig {
        route_id: id.to_owned(),
        cluster_id: Some(cluster.to_owned()),
        matches: MatchConfig {
            path: Some(path.to_owned()),
            ..MatchConfig::default()
        },
        ..RouteConfig::default()
    }
}

/// A cluster of destinations: id and address.
pub(crate) fn cluster(id: &str, destinations: &[(&str, String)]) -> ClusterConfig {
    let destination = |(id, address): &(&str, String)| DestinationConfig {
        destination_id: (*id).to_owned(),
        address: address.clone(),
        ..DestinationConfig::default()
    };
    ClusterConfig {
        cluster_id: id.to_owned(),
        destinations: destinations.iter().map(destination).collect(),
        ..ClusterConfig::default()
    }
}

pub(crate) fn configuration(routes: Vec<RouteConfig>, clusters: Vec<ClusterConfig>) -> ProxyConfig {
    ProxyConfig {
        routes: routes.into(),
        clusters: clusters.into(),
        ..ProxyConfig::default()
    }
}

/// Serves an address of its own, every answer being `name`; returns the URL.
pub(crate) fn destination(name: &'static str) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // One that breaks off is nothing to this program.
            let _ = answer(stream, name);
        }
    });
    Ok(url)
}

fn answer(stream: TcpStream, name: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    let length = name.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    reader.get_mut().write_all(head.as_bytes())?;
    reader.get_mut().write_all(name.as_bytes())
}

/// Status and body of one request, with further fields as lines.
pub(crate) fn ask(front: SocketAddr, path: &str, fields: &str) -> Result<(u16, String), Failure> {
    let (head, body) = exchange(front, path, fields)?;
    let status = head.split(' ').nth(1).ok_or("no status line")?;
    Ok((status.parse()?, body))
}

/// The head of a response.
pub(crate) fn head(front: SocketAddr, path: &str) -> Result<String, Failure> {
    Ok(exchange(front, path, "")?.0)
}

fn exchange(front: SocketAddr, path: &str, fields: &str) -> Result<(String, String), Failure> {
    let mut stream = TcpStream::connect(front)?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .ok_or("no end of the head")?;
    Ok((head.to_owned(), body.to_owned()))
}
