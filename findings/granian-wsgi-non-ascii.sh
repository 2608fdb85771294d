#!/usr/bin/env bash
# granian hands a WSGI application an empty string for a field whose value has bytes beyond ASCII.
#
# What surprises: PEP 3333 has such a value arrive as a string of its bytes (ISO 8859-1), as gunicorn and waitress
# do it, and granian's own ASGI side passes the bytes on. On its WSGI side the field is there and empty, be the bytes
# UTF-8 or ISO 8859-1, without a word in the log. A file name or a user's name in a field is lost that way.
#
# Versions: granian 2.8.9, gunicorn 27.0.1. Seen 2026-11-29.
# Source: PEP 3333, "Unicode Issues"; RFC 9110, section 5.5 (obs-text).
set -euo pipefail

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q granian==2.8.9 gunicorn==27.0.1
cat > app.py <<'PY'
def app(environment, start_response):
    answer = ascii(environment.get("HTTP_X_NAME")).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
PY
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
ask() { # port, value
  python3 - "$1" "$2" <<'PY'
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
value = bytes.fromhex(sys.argv[2])
client.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nX-Name: " + value + b"\r\n\r\n")
print(b"".join(iter(lambda: client.recv(4096), b"")).split(b"\r\n\r\n")[1].decode())
PY
}
granian=$(free); venv/bin/granian --interface wsgi --port "$granian" app:app >/dev/null 2>&1 &
gunicorn=$(free); venv/bin/gunicorn -b "127.0.0.1:$gunicorn" app:app >/dev/null 2>&1 &
for port in "$granian" "$gunicorn"; do until (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done; done
seen=$(for port in "$granian" "$gunicorn"; do ask "$port" c3a9; ask "$port" e9; ask "$port" 61; done | paste -sd' ')
echo "granian, then gunicorn, of UTF-8, ISO 8859-1 and ASCII: $seen"
[ "$seen" = "'' '' 'a' '\\xc3\\xa9' '\\xe9' 'a'" ] || { echo CHANGED; exit 1; }
echo 'as described'
