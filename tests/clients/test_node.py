"""Node: fetch, and the HTTP/2 client with its sessions, streams and extended CONNECT."""

import os
import subprocess
from pathlib import Path

from conftest import entries
from fronts import PATIENCE

SCRIPTS = Path(__file__).parent / "node"


def node(entry, script, *arguments):
    done = subprocess.run(
        ["node", "--unhandled-rejections=strict", SCRIPTS / script, entry.url(""), *arguments],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(entry.authority)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    # A script whose promises are never fulfilled ends as if all were well, but says nothing.
    assert done.returncode == 0 and done.stdout == "done\n", done.stdout + done.stderr


@entries("http1", "tls1")
def test_fetch(entry, way):
    node(entry, "fetch.mjs", way, entry.arrival(way))


@entries("h2c", "tls2")
def test_http2_sessions_and_streams(entry):
    node(entry, "http2.mjs", entry.arrival("delegated"))


@entries("h2c", "tls2")
def test_extended_connect(entry, way):
    node(entry, "extended_connect.mjs", way)
