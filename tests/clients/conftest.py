"""What the clients' tests share: one target and its destinations, a front in clear text and one over TLS."""

import pytest

from destinations import Site, Sockets
from fronts import Certificate, Entry, Front, Process, cluster, configuration, delegated_cluster
from grpc_destination import GrpcDestination
from pathlib import Path

PROTOCOLS = ("tls", "h2")


def pytest_addoption(parser):
    parser.addoption("--without", default="", help="protocols not to be tried: tls,h2")
    parser.addoption("--seconds", type=int, default=5, help="how long load is put on")


def pytest_collection_modifyitems(config, items):
    without = [name for name in config.getoption("--without").split(",") if name]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in without)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


ENTRIES = [
    pytest.param("http1", id="http1"),
    pytest.param("h2c", id="h2c", marks=pytest.mark.h2),
    pytest.param("tls1", id="tls1", marks=pytest.mark.tls),
    pytest.param("tls2", id="tls2", marks=[pytest.mark.tls, pytest.mark.h2]),
]


def entries(*names: str):
    """A test's clients come in by these ways alone."""
    chosen = [entry for entry in ENTRIES if entry.values[0] in names]
    return pytest.mark.parametrize("entry", chosen, indirect=True)


@pytest.fixture(params=ENTRIES)
def entry(request, certificate) -> Entry:
    """A way into the front; the front over TLS is started where it is the first time needed."""
    front = request.getfixturevalue("tls_front" if request.param.startswith("tls") else "front")
    return Entry(request.param, front, certificate.authority)


@pytest.fixture(params=["forwarded", "delegated"])
def way(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clients")
    (folder / "run").mkdir()
    return folder


@pytest.fixture(scope="session")
def certificate(folder) -> Certificate:
    return Certificate(folder)


@pytest.fixture(scope="session")
def site() -> Site:
    return Site((Path(__file__).parent / "page.html").read_bytes())


@pytest.fixture(scope="session")
def grpc_destination():
    destination = GrpcDestination()
    yield destination
    destination.stop()


@pytest.fixture(scope="session")
def settings(folder, site, grpc_destination):
    """Routes to one sample target both ways, and to everything else."""
    listening = ("--listen", "127.0.0.1:0", "--threads", "1")
    target = Process(folder / "run", "sample-target", "--queue", "clients", *listening)
    address = target.line_after("listening on ") + "/"
    target.line_after("queue clients ready")
    http2 = {"Version": "2", "VersionPolicy": "RequestVersionExact"}
    yield configuration(
        {
            "forwarded": cluster(address),
            "delegated": delegated_cluster("clients"),
            "site": cluster(site.address),
            "sockets": cluster(Sockets().address),
            "grpc.testing.Echo": cluster(grpc_destination.address, HttpRequest=http2),
        }
    )
    target.stop()


@pytest.fixture(scope="session")
def front(folder, settings):
    front = Front(folder / "clear", settings)
    yield front
    front.stop()


@pytest.fixture(scope="session")
def tls_front(folder, settings, certificate):
    front = Front(folder / "secure", settings, certificate)
    yield front
    front.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of what its front has said."""
    report = yield
    entry = item.funcargs.get("entry")
    if report.when == "call" and report.failed and entry:
        said = "\n".join(list(entry.front.errors)[-30:])
        report.sections.append(("standard error of the front", said))
    return report
