"""Measures the CPU time of all server processes for a request: nginx and an application server, that server alone,
and the same application behind a queue. Needs wrk, and nginx for its rows.

All servers run from the first load to the last; each round loads each of them once, in turn. A cell is the median of
the rounds.
"""

import argparse
import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
OSTLER = os.environ.get("OSTLER_BINARY", "ostler")
THREADS = 8


@dataclass
class Measured:
    """A way to serve: where it listens, and its processes."""

    name: str
    port: int
    processes: list[subprocess.Popen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        (folder / "run").mkdir()
        for kind, servers in [("Starlette, JSON", asgi_servers), ("WSGI, hello", wsgi_servers)]:
            with contextlib.ExitStack() as stack:
                measured = servers(folder, stack)
                report(kind, measured, measure(measured, arguments))


def measure(servers: list[Measured], arguments) -> dict[str, list[tuple[float, float]]]:
    samples: dict[str, list[tuple[float, float]]] = {server.name: [] for server in servers}
    for server in servers:
        load(server.port, 1, arguments.connections)
    for _ in range(arguments.rounds):
        for server in servers:
            before = cpu(server)
            requests, seconds = load(server.port, arguments.seconds, arguments.connections)
            cost = (cpu(server) - before) / requests / 1000
            samples[server.name].append((cost, requests / seconds))
    return samples


def report(kind: str, servers: list[Measured], samples) -> None:
    print(f"\n| {kind} | CPU a request, us | lowest-highest | against direct | requests a second |")
    print("|---|---|---|---|---|")
    direct = [cost for cost, _ in samples[servers[0].name]]
    for server in servers:
        costs = [cost for cost, _ in samples[server.name]]
        ratio = statistics.median(cost / of for cost, of in zip(costs, direct))
        rate = statistics.median(rate for _, rate in samples[server.name])
        print(
            f"| {server.name} | {statistics.median(costs):.1f} | {min(costs):.1f}-{max(costs):.1f}"
            f" | {ratio:.2f} | {rate:.0f} |",
            flush=True,
        )


def asgi_servers(folder: Path, stack) -> list[Measured]:
    def uvicorn(port):
        fast = ["--http", "httptools", "--loop", "uvloop", "--no-access-log"]
        return python(stack, "uvicorn", "programs:app", "--port", str(port), *fast)

    port, behind = free_port(), free_port()
    direct = Measured("uvicorn", port, [uvicorn(port)])
    nginx_port = free_port()
    upstream = uvicorn(behind)
    nginx = start_nginx(folder / "nginx-asgi", nginx_port, behind, stack)
    queue = serve_queue(folder, "asgi", stack, "programs:app", "--loop", "uvloop")
    servers = [direct, Measured("nginx + uvicorn", nginx_port, [nginx, upstream]), queue]
    return ready(servers)


def wsgi_servers(folder: Path, stack) -> list[Measured]:
    def gunicorn(port):
        worker = ["--workers", "1", "--worker-class", "gthread", "--threads", str(THREADS)]
        return python(stack, "gunicorn", "programs:wsgi", "-b", f"127.0.0.1:{port}", *worker)

    port, behind = free_port(), free_port()
    direct = Measured("gunicorn", port, [gunicorn(port)])
    nginx_port = free_port()
    upstream = gunicorn(behind)
    nginx = start_nginx(folder / "nginx-wsgi", nginx_port, behind, stack)
    queue = serve_queue(folder, "wsgi", stack, "programs:wsgi", "--threads", str(THREADS))
    servers = [direct, Measured("nginx + gunicorn", nginx_port, [nginx, upstream]), queue]
    return ready(servers)


def ready(servers: list[Measured]) -> list[Measured]:
    for server in servers:
        until = time.monotonic() + 30
        while b" 200 " not in ask(server.port):
            assert time.monotonic() < until, f"{server.name} does not answer"
            time.sleep(0.1)
    return servers


def ask(port: int) -> bytes:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return client.recv(1000)
    return b""


def run(stack, command: list, **environment: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=HERE,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def stop():
        process.terminate()
        process.wait()

    stack.callback(stop)
    return process


def python(stack, module: str, *arguments: str, **environment: str) -> subprocess.Popen:
    return run(stack, [sys.executable, "-m", module, *arguments], **environment)


def serve_queue(folder: Path, name: str, stack, *arguments: str) -> Measured:
    runtime = {"OSTLER_RUNTIME_DIR": str(folder / "run")}
    destination = {"Address": "http://*:80/", "Metadata": {"HttpSysDelegationQueue": name}}
    configuration = {
        "ReverseProxy": {
            "Pipeline": ["LoadBalancing", "HttpSysDelegation"],
            "Routes": {"all": {"ClusterId": "app", "Match": {"Path": "{**rest}"}}},
            "Clusters": {"app": {"Destinations": {"app": destination}}},
        }
    }
    file = folder / f"{name}.json"
    file.write_text(json.dumps(configuration))
    port = free_port()
    urls = ["--urls", f"http://127.0.0.1:{port}", "--threads", "1"]
    app = python(stack, "ostler", *arguments, "--queue", name, **runtime)
    front = run(stack, [OSTLER, "run", "--config", file, *urls], **runtime)
    return Measured("queue", port, [front, app])


def start_nginx(folder: Path, port: int, behind: int, stack) -> subprocess.Popen:
    folder.mkdir()
    (folder / "nginx.conf").write_text(
        f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e; keepalive_requests 100000000;
    upstream app {{ server 127.0.0.1:{behind}; keepalive 512; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""
    )
    return run(stack, ["nginx", "-p", folder, "-c", folder / "nginx.conf"])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def load(port: int, seconds: int, connections: int) -> tuple[int, float]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text, text
    return int(re.search(r"(\d+) requests in", text)[1]), float(seconds)


def cpu(server: Measured) -> float:
    """Nanoseconds on the CPU of all processes, with those that they have started."""
    return sum(of_tree(process.pid) for process in server.processes)


def of_tree(pid: int) -> float:
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += float((task / "schedstat").read_text().split()[0])
        total += sum(of_tree(int(child)) for child in (task / "children").read_text().split())
    return total


if __name__ == "__main__":
    main()
