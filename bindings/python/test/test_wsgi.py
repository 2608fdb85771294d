"""What PEP 3333 says a server does."""

import os

import httpx
import pytest

from apps import Raw, eventually, events, large_file


@pytest.fixture(autouse=True)
def app(running):
    return running("wsgi")


def test_an_environ_says_what_the_client_has_sent(web, entry):
    headers = {"X-One": "1", "Cookie": "a=b", "Proxy": "http://evil", "X_One": "forged"}
    response = web.get("/wsgi/a%20b%C3%A9/environ?x=1&y=%20", headers=headers)
    environ = response.json()
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/wsgi/a bé/environ"
    assert environ["QUERY_STRING"] == "x=1&y=%20"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["RAW_URI"] == "/wsgi/a%20b%C3%A9/environ?x=1&y=%20"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == entry.front.address.rsplit(":", 1)[1]
    assert environ["wsgi.url_scheme"] == ("https" if entry.is_tls else "http")
    assert environ["HTTP_X_ONE"] == "1"
    assert environ["HTTP_COOKIE"] == "a=b"
    assert "HTTP_PROXY" not in environ
    assert "CONTENT_LENGTH" not in environ
    assert environ["wsgi.multithread"] is True and environ["wsgi.multiprocess"] is False


def test_pythons_own_judge_has_no_complaint(running, web, clear_front):
    judged = running("validated")
    assert web.get("/validated/a").content == b" /validated/a"
    assert web.post("/validated/b", content=b"body").content == b"body /validated/b"
    assert web.post("/validated/c", content=iter([b"bo", b"dy"])).content == b"body /validated/c"
    assert web.head("/validated/d").status_code == 200
    assert not judged.said("AssertionError")


@pytest.mark.parametrize("length", [1, 70_000, 3_000_000])
def test_a_body_has_a_length_whether_the_client_gave_one_or_not(web, length):
    body = os.urandom(length)
    expected = {"length": length, "content_length": str(length)}
    assert web.post("/wsgi/count", content=body).json() == expected
    pieces = (body[at : at + 10_000] for at in range(0, length, 10_000))
    assert web.post("/wsgi/count", content=pieces).json() == expected


def test_a_body_is_read_by_lines(web):
    text = b"one\ntwo\n" + b"a" * 100_000 + b"\nlast"
    assert web.post("/wsgi/lines", content=text).json() == text.decode().splitlines(True)


def test_a_body_is_asked_for_when_the_application_reads(clear_front):
    head = "POST /wsgi/count HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    with Raw(clear_front.address, head) as raw:
        assert raw.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        raw.send("body")
        assert b'"length": 4' in raw.until(b"}")


def test_pieces_are_sent_and_the_iterable_is_closed(web):
    before = len(events(web, "wsgi"))
    assert web.get("/wsgi/pieces").content == b"one two"
    eventually(lambda: events(web, "wsgi")[before:] == ["closed"])


def test_an_iterable_is_closed_when_the_client_goes(plain_web, clear_front):
    before = len(events(plain_web, "wsgi"))
    with Raw(clear_front.address, "GET /wsgi/endless HTTP/1.1\r\nHost: a\r\n\r\n") as raw:
        raw.until(b"\r\n\r\n")
    eventually(lambda: events(plain_web, "wsgi")[before:] == ["closed"])


def test_what_fails_in_the_middle_never_passes_for_whole(web):
    before = len(events(web, "wsgi"))
    try:
        # It can still be said while nothing of it has left.
        assert web.get("/wsgi/fail-late").status_code in (500, 502)
    except httpx.RemoteProtocolError:
        pass
    eventually(lambda: "closed" in events(web, "wsgi")[before:])


def test_what_fails_before_is_a_500(web):
    assert web.get("/wsgi/fail").status_code == 500


def test_what_is_written_stands_before_what_is_returned(web):
    assert web.get("/wsgi/write").content == b"written and returned"


def test_an_error_page_takes_the_place_of_a_response_that_was_not_sent(web):
    response = web.get("/wsgi/error-page")
    assert (response.status_code, response.content) == (500, b"sorry")


def test_fields_may_stand_twice_and_are_latin1(web):
    response = web.get("/wsgi/fields")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert dict(response.headers.raw)[next(n for n, _ in response.headers.raw if n.lower() == b"x-text")] == b"caf\xe9"


def test_a_file_is_sent_from_where_it_stands(web, tmp_path):
    path = large_file(tmp_path)
    assert web.get("/wsgi/file", params={"path": str(path)}).content == path.read_bytes()
    query = {"path": str(path), "from": "1000000"}
    assert web.get("/wsgi/file", params=query).content == path.read_bytes()[1_000_000:]


def test_so_many_requests_run_as_there_are_threads(start, queue, plain_web, tmp_path):
    start("wsgi_app:app", "--threads", "3")
    from concurrent.futures import ThreadPoolExecutor

    def ask(_):
        return plain_web.get(f"/{queue}/pid", params={"hold": str(tmp_path)}).status_code

    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(ask, number) for number in range(5)]
        eventually(lambda: len(list(tmp_path.glob("entered-*"))) == 3)
        (tmp_path / "go").touch()
        assert [answer.result() for answer in answers] == [200] * 5
