"""Starting, stopping, dying and being replaced, under requests."""

import os
import signal
import sys
import threading

import pytest

from apps import App, Raw, client, eventually

PROGRAMS = ["asgi_app:app", "wsgi_app:app"]


@pytest.fixture(params=PROGRAMS)
def program(request):
    return request.param


class Asking:
    """Threads that ask again and again, each answer a process' number."""

    def __init__(self, entry, path, threads=4):
        self.entry, self.path = entry, path
        self.pids, self.failures = [], []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self):
        with client(self.entry) as web:
            while not self._done.is_set():
                try:
                    response = web.get(self.path)
                    assert response.status_code == 200, response
                    self.pids.append(int(response.content))
                except Exception as error:
                    self.failures.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()
        assert not self.failures, self.failures[:3]


def holding(folder, pid=None):
    """Waits until an application is in a request that it holds."""
    pattern = "entered-*" if pid is None else f"entered-{pid}*"
    eventually(lambda: list(folder.glob(pattern)))


def test_what_has_begun_is_finished_when_an_instance_stops(program, start, queue, clear_front, tmp_path):
    app = start(program)
    request = f"GET /{queue}/pid?hold={tmp_path} HTTP/1.1\r\nHost: a\r\n\r\n"
    with Raw(clear_front.address, request) as raw:
        holding(tmp_path, app.pid)
        app.process.terminate()
        eventually(lambda: app.said("Stopping"))
        (tmp_path / "go").touch()
        assert raw.until(str(app.pid).encode()).startswith(b"HTTP/1.1 200 ")
    assert app.wait() == 0


def test_a_lifespan_ends_behind_the_last_request(start, queue, plain_web):
    app = start("asgi_app:app")
    assert plain_web.get(f"/{queue}/pid").status_code == 200
    app.process.terminate()
    assert app.line_after("lifespan: ") == "shut down"
    assert app.wait() == 0


def test_restarting_the_only_instance_loses_nothing(program, start, queue, plain):
    # The queue stays, so that requests wait for as long as it takes.
    app = start(program, "--keep-queue")
    with Asking(plain, f"/{queue}/pid") as asking:
        for _ in range(2):
            eventually(lambda: app.pid in asking.pids)
            app.process.terminate()
            assert app.wait() == 0
            app = start(program, "--keep-queue")
        eventually(lambda: app.pid in asking.pids)


def test_a_request_of_an_instance_that_is_killed_goes_to_another(program, start, queue, clear_front, tmp_path):
    first = start(program)
    request = f"GET /{queue}/pid?hold={tmp_path} HTTP/1.1\r\nHost: a\r\n\r\n"
    with Raw(clear_front.address, request) as raw:
        holding(tmp_path, first.pid)
        second = start(program)
        first.process.kill()
        holding(tmp_path, second.pid)
        (tmp_path / "go").touch()
        assert raw.until(str(second.pid).encode()).startswith(b"HTTP/1.1 200 ")


def test_instances_share_a_queue(program, start, queue, plain, tmp_path):
    apps = [start(program), start(program)]
    with Asking(plain, f"/{queue}/pid") as asking:
        eventually(lambda: {app.pid for app in apps} <= set(asking.pids))


def test_workers_share_a_queue_and_are_started_again(program, start, queue, plain):
    app = start(program, "--workers", "2", processes=2)
    first = app.serving()
    with Asking(plain, f"/{queue}/pid") as asking:
        eventually(lambda: set(first) <= set(asking.pids))
        os.kill(first[0], signal.SIGKILL)
        eventually(lambda: len(app.serving()) == 3)
        third = app.serving()[2]
        eventually(lambda: third in asking.pids)
    app.process.terminate()
    assert app.wait() == 0


def test_workers_are_replaced_one_by_one_without_a_request_lost(program, start, queue, plain):
    app = start(program, "--workers", "2", processes=2)
    old = set(app.serving())
    with Asking(plain, f"/{queue}/pid") as asking:
        eventually(lambda: old <= set(asking.pids))
        app.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(app.serving()) == 4)
        new = set(app.serving()[2:])
        eventually(lambda: new <= set(asking.pids))
        eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in old))


def test_an_interrupt_from_the_terminal_is_no_second_one(program, start, queue, clear_front, tmp_path):
    app = start(program, "--workers", "2", processes=2)
    request = f"GET /{queue}/pid?hold={tmp_path} HTTP/1.1\r\nHost: a\r\n\r\n"
    with Raw(clear_front.address, request) as raw:
        holding(tmp_path)
        # A terminal's goes to every process.
        for pid in [*app.serving(), app.pid]:
            os.kill(pid, signal.SIGINT)
        eventually(lambda: sum("Stopping" in line for line in list(app.errors)) == 2)
        (tmp_path / "go").touch()
        assert raw.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert app.wait() == 0


def test_workers_become_more_and_less(start):
    app = start("asgi_app:app", "--workers", "2", processes=2)
    app.process.send_signal(signal.SIGTTIN)
    eventually(lambda: len(app.serving()) == 3)
    app.process.send_signal(signal.SIGTTOU)
    eventually(lambda: not os.path.exists(f"/proc/{app.serving()[2]}"))
    assert all(os.path.exists(f"/proc/{pid}") for pid in app.serving()[:2])


@pytest.mark.parametrize("has_watchfiles", [True, False])
def test_a_change_is_served_without_a_request_lost(start, queue, plain, tmp_path, has_watchfiles):
    module = tmp_path / "edited.py"
    text = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d"})
"""
    module.write_text(text % 1)
    if not has_watchfiles:
        hidden = tmp_path / "hidden"
        hidden.mkdir()
        (hidden / "watchfiles.py").write_text("raise ImportError")
    path = str(tmp_path / "hidden")
    watched = ["--app-dir", tmp_path, "--reload", "--reload-dir", tmp_path, "--keep-queue"]
    app = start("edited:app", *watched, PYTHONPATH=path)
    with Asking(plain, f"/{queue}/", threads=1) as asking:
        eventually(lambda: 1 in asking.pids)
        module.write_text(text % 22)
        eventually(lambda: 22 in asking.pids)
        # One that is broken is told of, and what mends it is served.
        module.write_text("that is no Python")
        eventually(lambda: app.said("SyntaxError"))
        module.write_text(text % 333)
        eventually(lambda: 333 in asking.pids)


def test_too_many_requests_at_a_time_are_a_503(start, queue, clear_front, plain_web, tmp_path):
    app = start("asgi_app:app", "--limit-concurrency", "1")
    request = f"GET /{queue}/pid?hold={tmp_path} HTTP/1.1\r\nHost: a\r\n\r\n"
    with Raw(clear_front.address, request) as raw:
        holding(tmp_path, app.pid)
        assert plain_web.get(f"/{queue}/pid").status_code == 503
        (tmp_path / "go").touch()
        raw.until(str(app.pid).encode())


def test_so_many_requests_and_no_more(program, start, queue, plain_web):
    app = start(program, "--limit-max-requests", "2")
    for _ in range(2):
        assert plain_web.get(f"/{queue}/pid").status_code == 200
    assert app.wait() == 0


def test_what_does_not_end_is_cut_off_in_time(program, start, queue, clear_front, tmp_path):
    app = start(program, "--timeout-graceful-shutdown", "0.2")
    request = f"GET /{queue}/pid?hold={tmp_path} HTTP/1.1\r\nHost: a\r\n\r\n"
    with Raw(clear_front.address, request) as raw:
        holding(tmp_path, app.pid)
        app.process.terminate()
        assert app.wait() == 0
    eventually(lambda: app.said("before everything was answered"))


def test_an_application_that_does_not_start_is_no_instance(start, queue, plain_web):
    app = start("asgi_app:app", processes=0, FAIL_STARTUP="1")
    assert app.wait() == 3
    eventually(lambda: app.said("no database"))
    assert plain_web.get(f"/{queue}/pid").status_code == 503
    several = start("asgi_app:app", "--workers", "2", processes=0, FAIL_STARTUP="1")
    assert several.wait() == 3


def test_an_application_need_not_know_of_its_lifespan(start, queue, plain_web):
    app = start("asgi_app:nothing")
    assert plain_web.get(f"/{queue}/").status_code == 500
    eventually(lambda: app.said("without starting a response"))
    second = start("asgi_app:fail")
    assert second.said("Serving")
    refused = start("asgi_app:fail", "--lifespan", "on", processes=0)
    assert refused.wait() == 3


def test_a_file_of_variables_is_read_first(start, tmp_path):
    (tmp_path / "variables").write_text("FAIL_STARTUP=1\n")
    app = start("asgi_app:app", "--env-file", tmp_path / "variables", processes=0)
    assert app.wait() == 3


def test_what_cannot_be_imported_is_said(start):
    for app, said in [
        ("no_module:app", "no module 'no_module'"),
        ("asgi_app:missing", "has no 'missing'"),
        ("asgi_app", "not the form"),
    ]:
        process = start(app, processes=0)
        assert process.wait() == 3
        eventually(lambda: process.said(said))


def test_a_queue_that_is_taken_is_said(start, queue):
    start("asgi_app:app")
    second = start("asgi_app:app", "--mode", "create", processes=0)
    assert second.wait() == 3
    eventually(lambda: second.said(queue))


def test_a_factory_makes_the_application(start, queue, plain_web):
    app = start("asgi_app:make", "--factory", "--interface", "asgi3")
    assert int(plain_web.get(f"/{queue}/pid").content) == app.pid


def test_a_root_path_and_fields_of_ones_own(program, start, queue, plain_web):
    header = ["--header", "X-Own: yes", "--header", "Content-Type: x/y"]
    start(program, "--root-path", "/root", *header, "--access-log")
    name = "scope" if program.startswith("asgi") else "environ"
    response = plain_web.get(f"/{queue}/{name}")
    told = response.json()
    assert told["root_path" if name == "scope" else "SCRIPT_NAME"] == "/root"
    assert response.headers["x-own"] == "yes"
    expected = "x/y" if name == "scope" else "text/plain"
    assert response.headers["content-type"] == expected


def test_requests_are_logged_if_one_asks(program, start, queue, plain_web):
    app = start(program, "--access-log")
    plain_web.get(f"/{queue}/fail?a=b")
    plain_web.get(f"/{queue}/pid?a=b")
    eventually(lambda: app.said(f'"GET /{queue}/pid?a=b HTTP/1.1" 200'))
    eventually(lambda: app.said("before the start"))


EMBEDDED = """
import asyncio, sys, ostler

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
    queue.stop()

def wsgi_app(environ, start_response):
    start_response("200 OK", [])
    queue.stop()
    return [environ["PATH_INFO"].encode()]

queue = ostler.Queue(sys.argv[1], ["http://*:80/"])
print("open", queue.name, queue.created, flush=True)
queue.add_url_prefix("http://*:80/more/")
assert queue.remove_url_prefix("http://*:80/more/")
try:
    queue.add_url_prefix("no prefix")
except ostler.QueueError as error:
    print("refused", flush=True)
if sys.argv[2] == "asgi":
    asyncio.run(queue.serve(app))
else:
    queue.serve_wsgi(wsgi_app)
print("served", flush=True)
"""


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_program_serves_a_queue_itself(queue, folder, plain_web, interface, tmp_path):
    (tmp_path / "own.py").write_text(EMBEDDED)

    class Own(App):
        program = [sys.executable, tmp_path / "own.py"]

        def __init__(self):
            super(App, self).__init__(folder / "run", queue, interface)

    own = Own()
    try:
        assert own.line_after("open ") == f"{queue} True"
        assert own.line_after("refused") == ""
        assert plain_web.get(f"/{queue}/own").content == f"/{queue}/own".encode()
        assert own.line_after("served") == ""
        assert own.wait() == 0
    finally:
        own.stop()
