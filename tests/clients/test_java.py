"""Java's HttpClient: HTTP/1.1, HTTP/2 over TLS, the attempt at an upgrade to h2c, WebSocket."""

import subprocess
from pathlib import Path

import pytest

from conftest import entries
from fronts import PATIENCE

SOURCE = Path(__file__).parent / "java" / "Client.java"


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("java")
    subprocess.run(["javac", "-d", folder, SOURCE], check=True, timeout=120)
    return folder


def java(classes, entry, way, asked, answered):
    arguments = [entry.url(""), way, entry.arrival(way), asked, answered, entry.authority]
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", classes, "Client", *arguments],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert done.returncode == 0 and done.stdout == "done\n", done.stdout + done.stderr


@entries("http1", "tls1")
def test_http_1_1(classes, entry, way):
    java(classes, entry, way, "HTTP_1_1", "HTTP_1_1")


@entries("http1")
def test_an_upgrade_to_h2c_is_declined(classes, entry, way):
    """In clear text the client asks with `Upgrade: h2c` and must be content with HTTP/1.1."""
    java(classes, entry, way, "HTTP_2", "HTTP_1_1")


@entries("tls2")
def test_http_2(classes, entry, way):
    java(classes, entry, way, "HTTP_2", "HTTP_2")
