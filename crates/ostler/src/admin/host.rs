//! Only what asks for this machine by one of its own names is answered over TCP: a page in a browser on this
//! host may name anything that leads to a loopback address, and read what comes.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::HOST;

pub(super) async fn of_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    match authority.or(host) {
        Some(host) if is_of_this_machine(host) => next.run(request).await,
        _ => {
            let why = "ask for localhost or for a loopback address\n";
            (StatusCode::MISDIRECTED_REQUEST, why).into_response()
        }
    }
}

fn is_of_this_machine(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if without_port.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = without_port
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = address.unwrap_or(without_port).parse::<std::net::IpAddr>();
    address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are() {
        for host in [
            "localhost",
            "LOCALHOST:9090",
            "127.0.0.1:9090",
            "127.0.0.2",
            "[::1]",
            "[::1]:9090",
        ] {
            assert!(is_of_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:9090",
            "192.0.2.1:9090",
            "127.0.0.1.example",
        ] {
            assert!(!is_of_this_machine(host), "{host}");
        }
    }
}
