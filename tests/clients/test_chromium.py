"""Headless Chromium: a page that fetches, follows events and opens WebSockets."""

import json
import queue
import subprocess

import pytest

from conftest import entries
from fronts import PATIENCE

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()


# Browsers speak HTTP/2 over TLS alone.
@entries("http1", "tls2")
def test_a_page(entry, site, certificate, tmp_path):
    trust = "--ignore-certificate-errors-spki-list=" + certificate.public_key_hash()
    log = open(tmp_path / "log", "wb")
    browser = subprocess.Popen(
        ["chromium", *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", trust]
        # Without a port for its debugger, headless Chromium ends as soon as the page is loaded.
        + ["--remote-debugging-port=0", entry.url("/site/page")],
        stdout=log,
        stderr=log,
    )
    try:
        report = json.loads(site.reports.get(timeout=2 * PATIENCE))
    except queue.Empty:
        pytest.fail("the page did not report; " + (tmp_path / "log").read_text()[-3000:])
    finally:
        browser.terminate()
        browser.wait(PATIENCE)
    assert report["errors"] == []
    assert report["protocols"] == ["h2" if entry.version == "2" else "http/1.1"]
    for way in ("forwarded", "delegated"):
        fetches, socket = report[way]["fetches"], report[way]["webSocket"]
        assert fetches == {"arrival": entry.arrival(way), "uploaded": True, "many": True}
        assert report[way]["events"] == [["0", "event 0"], ["1", "event 1"]]
        assert socket == {"seen": ["hello", 300_000], "code": 1000, "wasClean": True}
