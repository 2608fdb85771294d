#!/usr/bin/env bash
# Two Cookie fields become one that no cookie parser splits right, or lose the first, in most WSGI servers.
#
# What surprises: browsers send each cookie as a field of its own in HTTP/2 (RFC 9113, section 8.2.3), and who
# translates to HTTP/1.1 is to join them by "; ". A server that meets two Cookie fields in HTTP/1.1 might join them so,
# too; gunicorn, waitress, puma and uWSGI join them as lists are joined, by a comma, so that Python's and Ruby's parsers
# see one cookie `a` with the value `1,b=2` (or drop it), and cheroot keeps the last field alone. Only granian joins by
# a semicolon; ASGI servers pass both on. So a proxy cannot leave the fields as they came.
#
# Versions: gunicorn 27.0.1, waitress 3.0.2, cheroot 11.1.2, granian 2.8.9, puma 5.6.5 and uWSGI 2.0.21 (Debian 12).
# Seen 2026-11-29.
# Source: RFC 9113, section 8.2.3; RFC 6265, section 5.4 (one Cookie field); PEP 3333 says nothing of it.
set -euo pipefail

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q gunicorn==27.0.1 waitress==3.0.2 cheroot==11.1.2 granian==2.8.9
which puma uwsgi >/dev/null || { apt-get update -qq && apt-get install -y -qq puma uwsgi-core uwsgi-plugin-python3 >/dev/null; }
cat > app.py <<'PY'
import sys

def app(environment, start_response):
    answer = environment.get("HTTP_COOKIE", "").encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]

if __name__ == "__main__":
    from cheroot import wsgi
    wsgi.Server(("127.0.0.1", int(sys.argv[1])), app).start()
PY
cat > config.ru <<'RUBY'
run lambda { |e| [200, { "content-length" => e["HTTP_COOKIE"].bytesize.to_s }, [e["HTTP_COOKIE"]]] }
RUBY
cat > ask.py <<'PY'
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n")
print(b"".join(iter(lambda: client.recv(4096), b"")).split(b"\r\n\r\n")[1].decode())
PY
try() { # name, command with PORT in it
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  ${2//PORT/$port} >/dev/null 2>&1 &
  until (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
  echo "$1: $(python3 ask.py "$port")"
}
PATH="$work/venv/bin:$PATH"
seen=$(
  try gunicorn 'gunicorn -b 127.0.0.1:PORT app:app'
  try waitress 'waitress-serve --listen=127.0.0.1:PORT app:app'
  try puma 'puma -b tcp://127.0.0.1:PORT config.ru'
  try uwsgi 'uwsgi --http-socket 127.0.0.1:PORT --plugin python3 --wsgi-file app.py --callable app --die-on-term'
  try cheroot 'python3 app.py PORT'
  try granian 'granian --interface wsgi --port PORT app:app'
  kill $(jobs -p)
)
puma --version; echo "uWSGI $(uwsgi --version)"
echo "$seen"
diff <(echo "$seen") - <<'SEEN' || { echo CHANGED; exit 1; }
gunicorn: a=1,b=2
waitress: a=1, b=2
puma: a=1, b=2
uwsgi: a=1, b=2
cheroot: b=2
granian: a=1;b=2
SEEN
echo 'as described'
