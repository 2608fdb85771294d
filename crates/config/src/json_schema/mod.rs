//! A JSON schema of everything that is read, for editors. Tests hold it against the reader, in both
//! directions: each key of the one is known to the other.
//!
//! Of a new section the shape joins in [`sections`], in one line.

mod endpoints;
mod host;
mod policies;
mod proxy;
mod shape;

use serde_json::{Value, json};

use shape::open;

/// The schema's text, as `ostler schema` prints it.
pub fn json_schema() -> String {
    let mut schema = open(
        "Configuration of Ostler. Comments and trailing commas are allowed. Keys, and names of \
         enumerations' members, are compared without case; this schema has them as they are usually \
         written. Numbers and booleans may be written as texts.",
        sections(),
    );
    if let Some(schema) = schema.as_object_mut() {
        let draft = "http://json-schema.org/draft-07/schema#";
        schema.insert("$schema".to_owned(), json!(draft));
        schema.insert("title".to_owned(), json!("appsettings.json of Ostler"));
    }
    // Values of strings and numbers can always be shown.
    format!("{schema:#}\n")
}

/// Everything at the top; other programs' sections may stand beside these.
fn sections() -> Vec<(&'static str, Value)> {
    vec![
        ("ReverseProxy", proxy::reverse_proxy()),
        ("Cors", policies::cors()),
        ("RateLimiter", policies::rate_limiter()),
        ("OutputCache", policies::output_cache()),
        ("RequestTimeouts", policies::request_timeouts()),
        ("Authentication", policies::authentication()),
        ("Authorization", policies::authorization()),
        ("Urls", host::urls()),
        ("HTTP_PORTS", host::ports("http")),
        ("HTTPS_PORTS", host::ports("https")),
        ("ShutdownTimeoutSeconds", host::shutdown_timeout()),
        ("AllowedHosts", host::allowed_hosts()),
        ("Kestrel", host::kestrel()),
        ("HttpSys", host::http_sys()),
        ("Ostler", host::ostler()),
        ("StaticFiles", host::static_files()),
        ("NavigationFallback", host::navigation_fallback()),
        ("ContentRoot", host::content_root()),
        ("WebRoot", host::web_root()),
    ]
}

#[cfg(test)]
mod tests;
