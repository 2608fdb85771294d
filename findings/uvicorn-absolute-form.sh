#!/usr/bin/env bash
# uvicorn: what an application sees as `path` for an absolute request-target depends on the parser installed.
#
# What surprises: RFC 9112 3.2.2 has every server accept `GET http://host/shop HTTP/1.1` (proxies and some
# load balancers send it). With httptools installed (`pip install uvicorn[standard]`) ASGI's `path` is "/shop",
# as the specification of ASGI implies. With h11 (a plain `pip install uvicorn`) it is "http://host/shop", so
# that no route of any framework matches. The same program answers 200 or 404 by what else is installed.
# A front that hands requests on should put the request-target into origin form itself.
#
# Versions: uvicorn 0.54.0, h11 0.16.0, httptools 0.7.1. Seen 2026-11-28.
# Source: RFC 9112 section 3.2.2; ASGI's HTTP connection scope.
set -euo pipefail

work=$(mktemp -d)
trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check uvicorn==0.54.0 h11==0.16.0 httptools==0.7.1

cat > app.py <<'PY'
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
PY

# The `path` that the application sees for an absolute request-target, with parser $1.
path_with() {
  env/bin/python -m uvicorn app:app --uds "$work/$1.sock" --http "$1" --log-level critical & server=$!
  env/bin/python - "$work/$1.sock" <<'PY'
import socket, sys, time
for _ in range(200):
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(sys.argv[1])
        break
    except OSError:
        time.sleep(0.05)
client.sendall(b"GET http://shop.example/cart HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
answer = b""
while piece := client.recv(65536):
    answer += piece
print(answer.split(b"\r\n\r\n", 1)[1].decode())
PY
  kill "$server"; wait "$server" 2>/dev/null || true
}

env/bin/python -m uvicorn --version
with_httptools=$(path_with httptools)
with_h11=$(path_with h11)
echo "GET http://shop.example/cart: path with httptools: $with_httptools, with h11: $with_h11"
[ "$with_httptools" = "/cart" ] && [ "$with_h11" = "http://shop.example/cart" ] || { echo CHANGED; exit 1; }
echo "as described"
