//! Requests that each have an answer of their own: by its length, an echoed field or a hash.

use sha2::{Digest as _, Sha256};

use crate::support::{Mischief, Response};

/// How a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To one of the instances of a queue.
    Delegated,
    /// By HTTP.
    Forwarded,
    /// As `Delegated`, by a route that comes and goes.
    Sometimes,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Delegated, Self::Forwarded, Self::Sometimes];

    /// The first segment of its paths; the label of the targets that answer there.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Delegated => "delegated",
            Self::Forwarded => "forwarded",
            Self::Sometimes => "sometimes",
        }
    }
}

#[derive(Debug)]
enum Answer {
    /// So many bytes of the sample target's pattern.
    Pattern(usize),
    /// This identity in a field.
    Field(String),
    /// The hash of what was sent.
    Hash(String),
    Greeting,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) way: Way,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Option<Body>,
    answer: Answer,
}

#[derive(Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    chunked: bool,
}

impl Request {
    /// Without a body. No two of one `identity` are on a connection.
    pub(super) fn without_body(identity: usize, mischief: &mut Mischief) -> Self {
        let way = Way::ALL[mischief.below(Way::ALL.len())];
        let mut method = "GET";
        let (path, answer) = match mischief.below(8) {
            0..3 => {
                let size = identity % 1000 + 1000 * mischief.below(200);
                (format!("bytes/{size}"), Answer::Pattern(size))
            }
            3..5 => {
                let size = identity % 1000 + 1000 * mischief.below(200);
                (format!("stream/{size}"), Answer::Pattern(size))
            }
            5 => (format!("delay/{}", mischief.below(30)), Answer::Greeting),
            _ => {
                method = ["GET", "POST"][mischief.below(2)];
                let identity = identity.to_string();
                (
                    format!("fields/200?x-identity={identity}"),
                    Answer::Field(identity),
                )
            }
        };
        Self {
            way,
            method,
            path: format!("/{}/{path}", way.name()),
            body: None,
            answer,
        }
    }

    /// With a body of up to `limit` bytes.
    pub(super) fn with_body(limit: usize, mischief: &mut Mischief) -> Self {
        let way = Way::ALL[mischief.below(Way::ALL.len())];
        let count = 16 + mischief.below(limit);
        let bytes = mischief.bytes(count);
        let hash = Sha256::digest(&bytes);
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            way,
            method: ["POST", "PUT"][mischief.below(2)],
            path: format!("/{}/upload", way.name()),
            body: Some(Body {
                bytes,
                chunked: mischief.below(2) == 0,
            }),
            answer: Answer::Hash(hash),
        }
    }

    /// Whether it may be sent again once a target has received it: nothing of it is used up.
    pub(super) fn can_be_sent_again(&self) -> bool {
        self.body.is_none() && self.method != "POST"
    }

    /// The bytes, in the pieces in which they are sent.
    pub(super) fn pieces(&self) -> Vec<Vec<u8>> {
        let (method, path) = (self.method, &self.path);
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: chaos\r\n");
        let Some(body) = &self.body else {
            let length = match method {
                "POST" => "Content-Length: 0\r\n",
                _ => "",
            };
            return vec![format!("{head}{length}\r\n").into_bytes()];
        };
        let parts = body.bytes.chunks(body.bytes.len().div_ceil(4));
        if !body.chunked {
            head += &format!("Content-Length: {}\r\n\r\n", body.bytes.len());
            let parts = parts.map(<[u8]>::to_vec);
            return [head.into_bytes()].into_iter().chain(parts).collect();
        }
        head += "Transfer-Encoding: chunked\r\n\r\n";
        let chunks = parts.map(|part| {
            let mut chunk = format!("{:x}\r\n", part.len()).into_bytes();
            chunk.extend_from_slice(part);
            chunk.extend_from_slice(b"\r\n");
            chunk
        });
        let end = b"0\r\n\r\n".to_vec();
        let head = [head.into_bytes()].into_iter();
        head.chain(chunks).chain([end]).collect()
    }

    /// What is wrong with a whole response of status 200 as the answer to this.
    pub(super) fn mistake(&self, response: &Response) -> Option<String> {
        let right = match &self.answer {
            Answer::Pattern(size) => {
                let mut bytes = response.body.iter().enumerate();
                response.body.len() == *size && bytes.all(|(at, byte)| *byte == at as u8)
            }
            Answer::Field(identity) => response.field("x-identity") == Some(identity),
            Answer::Hash(hash) => {
                let said: Option<serde_json::Value> = serde_json::from_slice(&response.body).ok();
                said.is_some_and(|said| said["sha256"] == hash.as_str())
            }
            Answer::Greeting => {
                let label = match self.way {
                    Way::Forwarded => "forwarded ",
                    Way::Delegated | Way::Sometimes => "delegated ",
                };
                response.body.starts_with(label.as_bytes()) && response.body.ends_with(b"\n")
            }
        };
        (!right).then(|| {
            format!(
                "{} {} was answered with {} bytes and {:?}",
                self.method,
                self.path,
                response.body.len(),
                response.fields
            )
        })
    }
}
