//! What is read, and what is refused.

use super::*;

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

fn read_text(text: &str) -> (AuthorizationConfig, Diagnostics) {
    let mut tree = ConfigurationTree::new();
    tree.add_json("a.json", text).unwrap();
    let mut diagnostics = Diagnostics::default();
    let config = read(&tree, &mut diagnostics);
    (config, diagnostics)
}

fn bearer(more: &str) -> String {
    format!(r#""Authentication": {{ "Schemes": {{ "Bearer": {{ {more} }} }} }}"#)
}

fn good_bearer() -> String {
    bearer(&format!(
        r#""ValidIssuer": "dotnet-user-jwts", "ValidAudiences": [ "a", "b" ],
           "SigningKeys": [ {{ "Id": "3e5f", "Issuer": "dotnet-user-jwts", "Value": "{SECRET}", "Length": 16 }} ]"#
    ))
}

#[test]
fn what_dotnet_user_jwts_writes_is_read() {
    let (config, diagnostics) = read_text(&format!("{{ {} }}", good_bearer()));
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    let bearer = config.bearer.unwrap();
    assert_eq!(bearer.issuers.unwrap(), ["dotnet-user-jwts"]);
    assert_eq!(bearer.audiences.unwrap(), ["a", "b"]);
    assert_eq!(bearer.clock_skew, Duration::from_secs(300));
    assert_eq!(bearer.signing_keys[0].id.as_deref(), Some("3e5f"));
    assert_eq!(bearer.signing_keys[0].secret, b"0123456789abcdef");
    assert!(!format!("{:?}", bearer.signing_keys).contains("48"));
}

#[test]
fn policies_are_read() {
    let (config, diagnostics) = read_text(&format!(
        r#"{{ {}, "Authorization": {{
            "DefaultPolicy": {{ "RequireRoles": [ "user" ] }},
            "FallbackPolicy": {{ "RequireAuthenticatedUser": true }},
            "Policies": {{ "Any": {{}}, "admin": {{ "RequireClaims": {{ "tenant": [ "a", "b" ], "sub": [] }},
                "RequireScopes": [ "write" ] }} }} }} }}"#,
        good_bearer()
    ));
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    assert_eq!(config.names().collect::<Vec<_>>(), ["admin", "Any"]);
    let admin = &config.policies[0].1;
    let claims = [
        ("sub".to_owned(), vec![]),
        ("tenant".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
    ];
    assert_eq!(admin.claims, claims.into());
    assert_eq!(admin.scopes, ["write"]);
    assert_eq!(config.policies[1].1, AuthorizationPolicyConfig::default());
    assert_eq!(config.default_policy.unwrap().roles, ["user"]);
    assert_eq!(config.fallback_policy, Some(Default::default()));
}

#[test]
fn an_empty_fallback_policy_does_not_pass_for_none() {
    let text = format!(
        r#"{{ {}, "Authorization": {{ "FallbackPolicy": {{}} }} }}"#,
        good_bearer()
    );
    assert!(read_text(&text).1.has_errors());
}

#[test]
fn what_would_leave_a_door_open_or_shut_is_an_error() {
    let good = good_bearer();
    let policy = |json: &str| format!(r#"{{ {good}, "Authorization": {{ {json} }} }}"#);
    let scheme = |json: &str| format!("{{ {} }}", bearer(json));
    let key = format!(r#""SigningKeys": [ {{ "Value": "{SECRET}" }} ]"#);
    let names = r#""ValidIssuer": "i", "ValidAudience": "a""#;
    let bearer = "Authentication:Schemes:Bearer";
    let policies = "Authorization:Policies";
    for (text, path) in [
        // R20.
        (
            policy(r#""Policies": { "defaulT": { "RequireRoles": [ "x" ] } }"#),
            format!("{policies}:defaulT"),
        ),
        (
            policy(r#""Policies": { "ANONYMOUS": { "RequireRoles": [ "x" ] } }"#),
            format!("{policies}:ANONYMOUS"),
        ),
        (
            policy(r#""Policies": { "p": { "RequireAuthenticatedUser": false } }"#),
            format!("{policies}:p"),
        ),
        (
            policy(r#""Policies": { "p": { "RequireRoles": "admin" } }"#),
            format!("{policies}:p:RequireRoles"),
        ),
        (
            policy(r#""Policies": { "p": { "RequireClaims": { "c": "v" } } }"#),
            format!("{policies}:p:RequireClaims:c"),
        ),
        (
            r#"{ "Authorization": { "FallbackPolicy": { "RequireRoles": [ "x" ] } } }"#.to_owned(),
            "Authorization:FallbackPolicy".to_owned(),
        ),
        (
            policy(r#""Policies": { "p": { "RequireRole": [ "admin" ] } }"#),
            format!("{policies}:p:RequireRole"),
        ),
        (
            policy(r#""Policies": { "p": { "RequireClaims": { "urn:x": [ "v" ] } } }"#),
            format!("{policies}:p:RequireClaims:urn"),
        ),
        (scheme(names), bearer.to_owned()),
        (
            scheme(&format!(r#""ValidIssuer": "i", {key}"#)),
            format!("{bearer}:ValidAudience"),
        ),
        (
            scheme(&format!(r#""ValidAudience": "a", {key}"#)),
            format!("{bearer}:ValidIssuer"),
        ),
        (
            scheme(&format!(
                r#"{names}, "SigningKeys": [ {{ "Value": "?" }} ]"#
            )),
            format!("{bearer}:SigningKeys:0:Value"),
        ),
        (
            scheme(&format!(
                r#"{names}, "SigningKeys": [ {{ "Value": "c2hvcnQ=" }} ]"#
            )),
            format!("{bearer}:SigningKeys:0:Value"),
        ),
        (
            scheme(&format!(
                r#"{names}, "Authority": "https://login.example.com""#
            )),
            format!("{bearer}:Authority"),
        ),
        (
            scheme(&format!(
                r#"{names}, "JwksUrl": "ftp://login.example.com/keys""#
            )),
            format!("{bearer}:JwksUrl"),
        ),
        (
            scheme(&format!(
                r#"{names}, "JwksUrl": "http://login.example.com/keys""#
            )),
            format!("{bearer}:JwksUrl"),
        ),
    ] {
        let (_, diagnostics) = read_text(&text);
        let paths: Vec<_> = diagnostics.errors().map(|error| &error.path).collect();
        assert_eq!(paths, [&path], "{text}");
        for error in diagnostics.errors() {
            assert!(!error.message.contains("c2hvcnQ"), "a secret is repeated");
        }
    }
}

#[test]
fn a_switch_that_is_off_needs_no_values_and_http_may_be_allowed() {
    let (config, diagnostics) = read_text(&format!(
        "{{ {} }}",
        bearer(
            r#""ValidateIssuer": false, "ValidateAudience": "False", "RequireHttpsMetadata": false,
               "JwksUrl": "http://login.example.com/keys", "ClockSkew": "00:00:00""#
        )
    ));
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    let bearer = config.bearer.unwrap();
    assert_eq!((bearer.issuers, bearer.audiences), (None, None));
    let url = "http://login.example.com/keys".to_owned();
    assert_eq!(bearer.json_web_keys, Some(JsonWebKeySource::Url(url)));
    assert_eq!(bearer.clock_skew, Duration::ZERO);
}
