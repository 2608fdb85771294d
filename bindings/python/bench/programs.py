"""What is measured: an endpoint of Starlette's that answers JSON, and the smallest of WSGI."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def hello(request):
    return JSONResponse({"hello": "world", "path": request.url.path})


app = Starlette(routes=[Route("/", hello)])


def wsgi(environ, start_response):
    body = b"hello world\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
