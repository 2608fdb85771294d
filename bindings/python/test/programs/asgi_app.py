"""A bare ASGI application that shows what its server does."""

import asyncio
import json
import os
from pathlib import Path
from urllib.parse import parse_qs

# What happened, for `/events`.
events = []
# Bytes that `/flood` has been allowed to send.
flooded = 0


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    if scope["type"] == "websocket":
        return await websocket(scope, receive, send)
    name = scope["path"].rsplit("/", 1)[-1]
    handler = HANDLERS.get(name)
    if handler is None:
        return await answer(send, b"no such path", 404)
    await handler(scope, receive, send)


async def lifespan(scope, receive, send):
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            scope["state"]["started_by"] = os.getpid()
            if "FAIL_STARTUP" in os.environ:
                await send({"type": "lifespan.startup.failed", "message": "no database"})
                return
            await send({"type": "lifespan.startup.complete"})
        else:
            print("lifespan: shut down", flush=True)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def websocket(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    path = scope["path"]
    if path.endswith("/refuse"):
        await send({"type": "websocket.close"})
        return
    if path.endswith("/deny"):
        fields = [(b"x-why", b"full")]
        await send({"type": "websocket.http.response.start", "status": 418, "headers": fields})
        await send({"type": "websocket.http.response.body", "body": b"no room", "more_body": False})
        return
    subprotocol = scope["subprotocols"][0] if scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": [(b"x-pid", str(os.getpid()).encode())]})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            events.append(["websocket", message["code"], message["reason"]])
            return
        text = message.get("text")
        if text == "close":
            await send({"type": "websocket.close", "code": 4321, "reason": "as asked"})
        elif text == "fail":
            raise ValueError("as asked")
        elif text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def answer(send, body, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send, value):
    await answer(send, json.dumps(value, default=repr).encode())


async def scope_of(scope, receive, send):
    await answer_json(send, {key: shown(value) for key, value in scope.items()})


def shown(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return value


async def pid(scope, receive, send):
    query = parse_qs(scope["query_string"].decode())
    if "hold" in query:
        folder = Path(query["hold"][0])
        (folder / f"entered-{os.getpid()}").touch()
        while not (folder / "go").exists():
            await asyncio.sleep(0.01)
    await answer(send, str(os.getpid()).encode())


async def count(scope, receive, send):
    length = messages = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            events.append(["upload cut", length > 0])
            return
        length += len(message["body"])
        messages += 1
        more = message["more_body"]
    await answer_json(send, {"length": length, "several": messages > 1})


async def echo(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": True})
    await send({"type": "http.response.body"})


async def unread(scope, receive, send):
    await answer(send, b"not interested")


async def after_body(scope, receive, send):
    """What is received behind the end of the body, while the client is there and when it has its answer."""
    while (await receive()).get("more_body"):
        pass
    waiting = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    early = waiting.done()
    await answer(send, b"answered")
    events.append(["behind the answer", early, (await waiting)["type"]])


async def wait(scope, receive, send):
    """Sends a first piece, then waits for the client to go."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    message = await receive()
    while message["type"] == "http.request":
        message = await receive()
    try:
        await send({"type": "http.response.body", "body": b"late", "more_body": True})
    except OSError as error:
        events.append(["late send", type(error).__name__])
    else:
        events.append(["late send", "accepted"])


async def flood(scope, receive, send):
    global flooded
    flooded = 0
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1024):
        await send({"type": "http.response.body", "body": bytes(64 * 1024), "more_body": True})
        flooded += 64 * 1024
    await send({"type": "http.response.body"})


async def flooded_so_far(scope, receive, send):
    await answer_json(send, flooded)


async def ticks(scope, receive, send):
    """Server-sent events, each when a file says so."""
    folder = Path(parse_qs(scope["query_string"].decode())["folder"][0])
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number in range(3):
        while not (folder / f"tick-{number}").exists():
            await asyncio.sleep(0.01)
        body = f"data: {number}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})


async def fail(scope, receive, send):
    raise ValueError("before the start")


async def fail_late(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    raise ValueError("in the middle")


async def nothing(scope, receive, send):
    pass


async def unfinished(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})


async def wrong_order(scope, receive, send):
    try:
        await send({"type": "http.response.body", "body": b"too soon"})
    except RuntimeError as error:
        await answer(send, str(error).encode())


async def twice(scope, receive, send):
    await answer(send, b"once")
    try:
        await send({"type": "http.response.body", "body": b"twice"})
    except RuntimeError:
        events.append(["twice", "refused"])


async def injection(scope, receive, send):
    try:
        await answer(send, b"", headers=[(b"x", b"a\r\nset-cookie: b=c")])
    except ValueError:
        await answer(send, b"refused")


async def trailers(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
    await send({"type": "http.response.body", "body": b"body"})
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"4")]})


async def file(scope, receive, send):
    path = parse_qs(scope["query_string"].decode())["path"][0]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.pathsend", "path": path})


async def buffers(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytearray(b"array "), "more_body": True})
    await send({"type": "http.response.body", "body": memoryview(b"view")})


async def streamed_without_body(scope, receive, send):
    """A body in pieces where there is none, as of `HEAD`."""
    status = int(parse_qs(scope["query_string"].decode()).get("status", ["200"])[0])
    await send({"type": "http.response.start", "status": status, "headers": []})
    for _ in range(3):
        await send({"type": "http.response.body", "body": b"unwanted", "more_body": True})
        await asyncio.sleep(0.02)
    await send({"type": "http.response.body"})
    events.append(["bodiless", "ended"])


async def events_so_far(scope, receive, send):
    await answer_json(send, events)


HANDLERS = {
    "scope": scope_of,
    "pid": pid,
    "count": count,
    "echo": echo,
    "unread": unread,
    "after-body": after_body,
    "wait": wait,
    "flood": flood,
    "flooded": flooded_so_far,
    "ticks": ticks,
    "fail": fail,
    "fail-late": fail_late,
    "nothing": nothing,
    "unfinished": unfinished,
    "wrong-order": wrong_order,
    "twice": twice,
    "injection": injection,
    "trailers": trailers,
    "file": file,
    "buffers": buffers,
    "bodiless": streamed_without_body,
    "events": events_so_far,
}


def make():
    """The application for `--factory`."""
    return app
