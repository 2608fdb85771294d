"""Processes of the program (fronts and sample targets), certificates, and the ways into a front."""

import collections
import json
import os
import queue
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

BINARY = Path(os.environ.get("OSTLER_BINARY", "target/debug/ostler"))

# How long anything may take before a test gives up; never how long something should take.
PATIENCE = int(os.environ.get("PATIENCE", 60))


class Process:
    """A process of the program, stopped by `stop`."""

    program = [BINARY]

    def __init__(self, runtime: Path, *arguments: str, **environment: str):
        self.process = subprocess.Popen(
            [*self.program, *map(str, arguments)],
            env={**os.environ, "OSTLER_RUNTIME_DIR": str(runtime), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors = collections.deque(maxlen=2000)
        self._lines = queue.Queue()
        threading.Thread(target=self._read_lines, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read_lines(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def _read_errors(self) -> None:
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))

    def line_after(self, start: str) -> str:
        """What stands behind `start` on the next line of standard output that begins with it."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE if self.process.poll() is None else 1)
            except queue.Empty:
                said = "\n".join(self.errors)
                raise AssertionError(f"no line {start!r} came; standard error:\n{said}") from None
            if line.startswith(start):
                return line.removeprefix(start)

    def memory(self) -> int:
        """Resident memory in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1])

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


class Certificate:
    """A certificate for localhost, its key, and the authority that signed it."""

    def __init__(self, folder: Path):
        self.authority = folder / "authority.pem"
        self.path = folder / "localhost.pem"
        self.key = folder / "localhost.key"
        extensions = folder / "extensions.cnf"
        extensions.write_text(
            "subjectAltName = DNS:localhost, IP:127.0.0.1\n"
            "basicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth\n"
        )
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        authority_key, request = folder / "authority.key", folder / "localhost.csr"
        openssl(
            *("req", "-x509", *key, "-days", "30", "-subj", "/CN=Authority of a test"),
            *("-keyout", authority_key, "-out", self.authority),
            *("-addext", "keyUsage=critical,keyCertSign"),
        )
        openssl("req", *key, "-subj", "/CN=localhost", "-keyout", self.key, "-out", request)
        openssl(
            *("x509", "-req", "-in", request, "-out", self.path, "-days", "30"),
            *("-CA", self.authority, "-CAkey", authority_key, "-CAcreateserial"),
            *("-extfile", extensions),
        )

    def public_key_hash(self) -> str:
        """The SHA-256 of the public key in base 64, which is how Chromium is told to trust it."""
        command = (
            f"openssl x509 -in '{self.path}' -pubkey -noout | openssl pkey -pubin -outform der"
            " | openssl dgst -sha256 -binary | openssl base64"
        )
        return subprocess.check_output(command, shell=True, text=True).strip()


def openssl(*arguments) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@dataclass(frozen=True)
class Entry:
    """A way into a front: which one, and what is spoken to it."""

    name: str
    front: "Front"
    authority: Path

    @property
    def is_tls(self) -> bool:
        return self.name.startswith("tls")

    @property
    def version(self) -> str:
        """The version of HTTP, as curl and httpx write it less `HTTP/`."""
        return "1.1" if self.name in ("http1", "tls1") else "2"

    def url(self, path: str) -> str:
        return self.front.address + path

    def ws_url(self, path: str) -> str:
        """The same for a WebSocket."""
        return "ws" + self.url(path).removeprefix("http")

    def arrival(self, way: str) -> str:
        """How the sample target must say that a request came."""
        if way == "forwarded":
            return "direct"
        # A socket can be handed over only where nothing stands between it and HTTP/1.1.
        return "delegated" if self.name == "http1" else "streamed"


class Front(Process):
    """A front that listens in clear text, or over TLS if it is given a certificate."""

    def __init__(self, folder: Path, configuration: dict, certificate: Certificate | None = None):
        folder.mkdir(exist_ok=True)
        file = folder / "appsettings.json"
        urls = ["--urls", "http://127.0.0.1:0"]
        if certificate:
            endpoint = {
                "Url": "https://127.0.0.1:0",
                "Protocols": "Http1AndHttp2",
                "Certificate": {"Path": str(certificate.path), "KeyPath": str(certificate.key)},
            }
            configuration = {**configuration, "Kestrel": {"Endpoints": {"Secure": endpoint}}}
            urls = []
        file.write_text(json.dumps(configuration, indent=2))
        arguments = ["run", "--config", file, "--threads", 2]
        super().__init__(folder.parent / "run", *arguments, *urls)
        scheme = "https" if certificate else "http"
        port = self.line_after(f"listening on {scheme}://127.0.0.1:")
        host = "localhost" if certificate else "127.0.0.1"
        self.address = f"{scheme}://{host}:{port}"


def configuration(clusters: dict[str, dict]) -> dict:
    """A route `/NAME/...` for each cluster; delegation where a destination names a queue."""
    routes = {
        name: {"ClusterId": name, "Match": {"Path": f"/{name}/{{**rest}}"}} for name in clusters
    }
    return {
        "ReverseProxy": {
            "Pipeline": ["LoadBalancing", "HttpSysDelegation"],
            "Routes": routes,
            "Clusters": clusters,
        }
    }


def cluster(address: str, **settings) -> dict:
    return {"Destinations": {"d": {"Address": address}}, **settings}


def delegated_cluster(name: str) -> dict:
    metadata = {"HttpSysDelegationQueue": name}
    return {"Destinations": {"d": {"Address": "http://*:80/", "Metadata": metadata}}}
