"""curl: both versions, uploads, resumption, HEAD, reuse of connections, trailers."""

import hashlib
import json
import re
import subprocess

import pytest

from conftest import entries
from destinations import RANGED
from fronts import PATIENCE

PROTOCOL = {
    "http1": ["--http1.1"],
    "h2c": ["--http2-prior-knowledge"],
    "tls1": ["--http1.1"],
    "tls2": ["--http2"],
}
BODY = bytes(range(256)) * 16384


@pytest.fixture
def curl(entry):
    """Runs curl, and gives what it has printed."""

    def run(*arguments, stdin: bytes = b"") -> bytes:
        command = ["curl", "--silent", "--show-error", "--max-time", PATIENCE, "--noproxy", "*"]
        command += [*PROTOCOL[entry.name], "--cacert", entry.authority, *arguments]
        done = subprocess.run(list(map(str, command)), input=stdin, capture_output=True)
        assert done.returncode == 0, f"{done.returncode}: {done.stderr.decode()}"
        return done.stdout

    return run


def test_get(curl, entry, way):
    about = "\n%{http_version} %{local_port} %{response_code}"
    output = curl(entry.url(f"/{way}/echo?a=b%20c"), "-H", "X-Some: thing", "-w", about)
    echo, facts = output.decode().rsplit("\n", 1)
    echo = json.loads(echo)
    version, port, status = facts.split()
    assert (version, status) == (entry.version, "200")
    assert echo["arrival"] == entry.arrival(way)
    assert echo["target"].endswith(f"/{way}/echo?a=b%20c")
    assert ["x-some", "thing"] in echo["fields"]
    if way == "delegated":
        assert echo["client"] == f"127.0.0.1:{port}"
    else:
        assert ["x-forwarded-proto", "https" if entry.is_tls else "http"] in echo["fields"]


def test_a_large_response(curl, entry, way):
    body = curl(entry.url(f"/{way}/bytes/30000000"))
    assert hashlib.sha256(body).digest() == hashlib.sha256(pattern(30000000)).digest()
    body = curl(entry.url(f"/{way}/stream/3000000"))
    assert hashlib.sha256(body).digest() == hashlib.sha256(pattern(3000000)).digest()


def test_a_slow_reader(curl, entry, way):
    """The destination must not run ahead of a client that takes its time."""
    body = curl(entry.url(f"/{way}/bytes/8000000"), "--limit-rate", "8M")
    assert hashlib.sha256(body).digest() == hashlib.sha256(pattern(8000000)).digest()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_upload(curl, entry, way, chunked, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(BODY)
    url = entry.url(f"/{way}/upload")
    output = curl("-T", "-", url, stdin=BODY) if chunked else curl("-T", file, url)
    received = json.loads(output)
    assert received["length"] == len(BODY)
    assert received["sha256"] == hashlib.sha256(BODY).hexdigest()


def test_post_of_a_form(curl, entry, way):
    echo = json.loads(curl("-d", "a=1", "-d", "b=2", entry.url(f"/{way}/echo")))
    assert (echo["method"], echo["length"]) == ("POST", 7)
    assert ["content-type", "application/x-www-form-urlencoded"] in echo["fields"]


@entries("http1", "tls1")
def test_expect_100_continue(curl, entry, way):
    """curl holds the body back for ten seconds unless it is told to go on."""
    expect = ["-H", "Expect: 100-continue", "--expect100-timeout", "10", "-D", "-"]
    output = curl(*expect, "--data-binary", "@-", entry.url(f"/{way}/upload"), stdin=BODY)
    heads, body = output.split(b"\r\n\r\n{")
    assert re.match(rb"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", heads)
    assert json.loads(b"{" + body)["length"] == len(BODY)


def test_resumption(curl, entry, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(RANGED[:1000])
    about = curl("-C", "-", "-o", file, "-w", "%{response_code}", entry.url("/site/ranged"))
    assert about == b"206"
    assert file.read_bytes() == RANGED
    assert curl("-r", "100-199", entry.url("/site/ranged")) == RANGED[100:200]


def test_head(curl, entry, way):
    output = curl("-I", entry.url(f"/{way}/bytes/1234567")).decode().lower()
    assert output.startswith(f"http/{entry.version} 200")
    assert "\r\ncontent-length: 1234567\r\n" in output


def test_statuses_without_a_body(curl, entry, way):
    for status in (204, 205, 304, 404, 503):
        output = curl("-w", "%{response_code}", entry.url(f"/{way}/status/{status}"))
        assert output == str(status).encode()


# curl 7.88, Debian 12's, cannot use a connection twice by prior knowledge, whoever answers.
reusing = entries("http1", "tls1", "tls2")


@reusing
def test_connections_are_reused(curl, entry):
    """Both ways on one connection: requests are routed one by one."""
    urls = [entry.url(f"/{way}/echo?{n}") for n in range(5) for way in ("forwarded", "delegated")]
    several = [part for url in urls for part in ("-o", "/dev/null", url)]
    output = curl(*several, "-w", "%{num_connects} %{local_port} %{response_code}\n").decode()
    lines = [line.split() for line in output.splitlines()]
    assert [connects for connects, _, _ in lines] == ["1"] + ["0"] * 9
    assert len({port for _, port, _ in lines}) == 1
    assert {status for _, _, status in lines} == {"200"}


@reusing
def test_reuse_behind_uploads_and_empty_responses(curl, entry, way):
    """What one exchange leaves unread must not be taken for the next."""
    output = curl(
        *("--data-binary", "@-", entry.url(f"/{way}/upload"), "-o", "/dev/null"),
        *("-w", "%{num_connects}"),
        "--next",
        *("--silent", "--cacert", entry.authority, *PROTOCOL[entry.name]),
        *("-I", entry.url(f"/{way}/bytes/100"), "-o", "/dev/null", "-w", "%{num_connects}"),
        "--next",
        *("--silent", "--cacert", entry.authority, *PROTOCOL[entry.name]),
        *(entry.url(f"/{way}/bytes/3"), "-w", "%{num_connects}"),
        stdin=BODY,
    )
    assert output == b"10\x00\x01\x020"


@reusing
def test_many_at_once(curl, entry, way):
    urls = entry.url(f"/{way}/stream/100000?[1-200]")
    many = ["--parallel", "--parallel-max", "50", "-o", "/dev/null"]
    output = curl(*many, "-w", "%{response_code} %{size_download}\n", urls).decode()
    assert output.splitlines() == ["200 100000"] * 200


def test_trailers(curl, entry, tmp_path):
    fields = tmp_path / "fields"
    assert curl("-D", fields, entry.url("/site/trailers")) == b"hello"
    assert "x-checksum: 42" in fields.read_text().lower().splitlines()


def pattern(count: int) -> bytes:
    """The body of the sample target's `/bytes/N`."""
    return (bytes(range(256)) * (count // 256 + 1))[:count]
