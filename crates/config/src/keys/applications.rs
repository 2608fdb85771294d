//! `Ostler:Applications`: programs that are started, watched and stopped for the queues that they serve.

use super::Value::{Choice, Integer, Object as Section, Text, TextMap, Texts, TimeSpan};
use super::{Key, Object, Origin};

pub(crate) static APPLICATION: Object = Object::new(
    Origin::Ostler,
    "A program that `ostler pool` starts, and the request queue that it serves. The front reads nothing of it.",
    &[
        Key::new(
            "Command",
            Text,
            "The program: a path, or a name that is found by `PATH`. No shell reads it. Required.",
        )
        .example(r#""gunicorn""#),
        Key::new("Arguments", Texts, "Its arguments; `${PORT}` and `${SOCKET}` in them as with `ostler exec`.")
            .default("[]")
            .example(r#"["app:app"]"#),
        Key::new("Queue", Text, "The request queue's name.").default("the application's name").example(r#""shop""#),
        Key::new("UrlPrefixes", Texts, "URL prefixes that are registered on the queue, unless the program opens it.")
            .default(r#"["http://*:80/"]"#),
        Key::new(
            "Listen",
            Choice(&["Fd", "TcpFd", "Port", "Unix", "Queue"]),
            "Where the program listens: at a socket that it is passed (`Fd` is a Unix socket, `TcpFd` a port), at a \
             `Port`, at a `Unix` socket; or nowhere, since it opens the `Queue` that `$OSTLER_QUEUE` names. See \
             [applications](applications.md#where-the-program-listens).",
        )
        .default(r#""Fd""#)
        .example(r#""Port""#),
        Key::new("Protocol", Choice(&["Http1", "Http2"]), "What is spoken with it where it listens; `Http2` is without TLS.")
            .default(r#""Http1""#)
            .example(r#""Http2""#),
        Key::new("Environment", TextMap, "Variables over those of the pool, of which those that configure Ostler itself (`Ostler__`, `Kestrel__`, `ReverseProxy__`) are not passed on."),
        Key::new("WorkingDirectory", Text, "Where it runs, from the folder of the configuration on.")
            .default("that folder")
            .example(r#""/srv/shop""#),
        Key::new("User", Text, "Whom it runs as, by name or number; another one takes a pool that runs as root.")
            .default("the pool's user")
            .example(r#""shop""#),
        Key::new("Instances", Section(&APPLICATION_INSTANCES), "How many run."),
        Key::new("IdleTimeout", TimeSpan, "An instance beyond `Min` that had no request for so long is stopped; zero is never.")
            .default(r#""00:20:00""#),
        Key::new("StartTimeout", TimeSpan, "How long it may take until it is ready; positive.").default(r#""00:01:00""#),
        Key::new(
            "StopTimeout",
            TimeSpan,
            "How long requests under way may take when it is stopped, and then the program itself; positive.",
        )
        .default(r#""00:00:30""#),
        Key::new(
            "ReadyWhen",
            Text,
            "`Listening`, or a path that it is to answer with a status below 500 before it is given requests.",
        )
        .default(r#""Listening""#)
        .example(r#""/health""#),
        Key::new("Recycle", Section(&APPLICATION_RECYCLE), "When an instance makes room for a new one."),
        Key::new(
            "Watch",
            Texts,
            "Files and folders, from the working directory on, whose changes have all instances make room for new \
             ones: for development.",
        )
        .default("[]")
        .example(r#"["app.py"]"#),
    ],
);

pub(crate) static APPLICATION_INSTANCES: Object = Object::new(
    Origin::Ostler,
    "How many instances of an application run.",
    &[
        Key::new("Min", Integer, "So many always; 0 is none until there is a request.").default("0").example("1"),
        Key::new("Max", Integer, "So many at most, up to 256; not less than `Min`.").default("1, or `Min`").example("4"),
        Key::new(
            "Concurrency",
            Integer,
            "One more is started where more requests an instance are under way than this; positive. In any case one \
             is, where requests wait in the queue for half a second.",
        )
        .default("any number")
        .example("16"),
    ],
);

pub(crate) static APPLICATION_RECYCLE: Object = Object::new(
    Origin::Ostler,
    "When an instance makes room for a new one, which is ready before the old one is given no more requests.",
    &[
        Key::new("Requests", Integer, "After so many requests; positive.")
            .default("never")
            .example("10000"),
        Key::new(
            "Memory",
            Integer,
            "When it and its processes have so many bytes of memory resident; positive.",
        )
        .default("never")
        .example("536870912"),
        Key::new("Time", TimeSpan, "When it is so old; positive.")
            .default("never")
            .example(r#""1.00:00:00""#),
    ],
);
