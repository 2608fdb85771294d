"""What Starlette applications do."""

import anyio
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

events = []


class Marked(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-marked"] = "yes"
        return response


async def home(request):
    return JSONResponse({"client": request.client.host, "url": str(request.url)})


async def upload(request):
    async with request.form() as form:
        data = await form["file"].read()
        return JSONResponse({"name": form["file"].filename, "length": len(data), "note": form["note"]})


async def stream(request):
    async def pieces():
        try:
            while True:
                yield b"piece " * 1024
                await anyio.sleep(0.01)
        finally:
            events.append("stream ended")

    return StreamingResponse(pieces())


async def background(request):
    return PlainTextResponse("answered", background=BackgroundTask(events.append, "background ran"))


async def body(request):
    try:
        return PlainTextResponse(str(len(await request.body())))
    except ClientDisconnect:
        events.append("upload cut")
        raise


async def file(request):
    return FileResponse(request.query_params["path"])


async def all_events(request):
    return JSONResponse(events)


async def echo(socket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text.upper())
    events.append("socket closed")


app = Starlette(
    routes=[
        Route("/starlette/", home),
        Route("/starlette/upload", upload, methods=["POST"]),
        Route("/starlette/stream", stream),
        Route("/starlette/background", background),
        Route("/starlette/body", body, methods=["POST"]),
        Route("/starlette/file", file),
        Route("/starlette/events", all_events),
        WebSocketRoute("/starlette/echo", echo),
        Mount("/starlette/static", StaticFiles(directory=".")),
    ],
    middleware=[Middleware(Marked), Middleware(GZipMiddleware, minimum_size=500)],
)
