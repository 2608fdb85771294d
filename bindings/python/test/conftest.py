"""What the tests share: fronts in clear text and over TLS, and an application of each kind."""

import itertools

import pytest

from apps import App, client, eventually
from fronts import Certificate, Entry, Front, configuration, delegated_cluster

# The applications that run as long as the tests do: the queue's name is the path's beginning.
APPS = {
    "asgi": ["asgi_app:app", "--loop", "uvloop"],
    "asyncio": ["asgi_app:app", "--loop", "asyncio"],
    "wsgi": ["wsgi_app:app"],
    "validated": ["wsgi_app:validated"],
    "starlette": ["starlette_app:app"],
    "fastapi": ["fastapi_app:app"],
    "flask": ["flask_app:app"],
    "django": ["django_app:asgi"],
    "django-wsgi": ["django_app:wsgi"],
}
# Queues of tests that start and stop applications.
OWN = [f"own-{number}" for number in range(100)]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    (folder / "run").mkdir()
    return folder


@pytest.fixture(scope="session")
def certificate(folder):
    return Certificate(folder)


@pytest.fixture(scope="session")
def routes():
    return configuration({name: delegated_cluster(name) for name in [*APPS, *OWN]})


@pytest.fixture(scope="session")
def clear_front(folder, routes):
    front = Front(folder / "clear", routes)
    yield front
    front.stop()


@pytest.fixture(scope="session")
def tls_front(folder, routes, certificate):
    front = Front(folder / "tls", routes, certificate)
    yield front
    front.stop()


@pytest.fixture(params=["http1", "h2c", "tls1", "tls2"])
def entry(request, certificate):
    """A way into a front: delegated, and relayed for three reasons."""
    name = "tls_front" if request.param.startswith("tls") else "clear_front"
    return Entry(request.param, request.getfixturevalue(name), certificate.authority)


@pytest.fixture
def plain(clear_front, certificate):
    """The way that is delegated."""
    return Entry("http1", clear_front, certificate.authority)


@pytest.fixture(scope="session")
def running(folder):
    """Starts an application the first time that it is needed."""
    apps = {}

    def start(name):
        if name not in apps:
            apps[name] = App(folder / "run", APPS[name][0], name, *APPS[name][1:])
        return apps[name].ready()

    yield start
    for app in apps.values():
        app.stop()


@pytest.fixture
def web(entry):
    """A client by each way."""
    with client(entry) as web:
        yield web


@pytest.fixture
def plain_web(plain):
    with client(plain) as web:
        yield web


queues = itertools.cycle(OWN)


@pytest.fixture
def queue():
    """A queue that no other test uses."""
    return next(queues)


@pytest.fixture
def start(folder, queue):
    """Starts applications on the test's own queue and stops them behind it."""
    apps = []

    def start(app, *arguments, processes=1, **environment):
        apps.append(App(folder / "run", app, queue, *arguments, **environment))
        if processes:
            apps[-1].ready(processes)
        return apps[-1]

    yield start
    for app in apps:
        app.stop()
    eventually(lambda: all(app.has_ended() for app in apps))
