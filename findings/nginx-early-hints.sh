#!/usr/bin/env bash
# nginx 1.22.1 as a proxy takes an interim response of the program behind it for the final one.
#
# What surprises: RFC 9110 15.2 has a client (a proxy is one) read any number of interim responses and wait
# for the final one. nginx ends the head at the first 1xx of any kind and passes all that follows, the final
# head included, on as the *body* of that answer: byte for byte as the program wrote it, without a word of
# the proxy's own. An HTTP/1.1 client happens to read the final response out of that body, so all looks well;
# the access log says 103, the final response's fields pass by every filter of the configuration
# (proxy_hide_header, add_header, caching), and the connection to the program ends with the exchange.
# A program that sends early hints is better not put behind this nginx.
#
# Versions: Debian 12's nginx 1.22.1-9+deb12u11. Seen 2026-11-28.
# Source: RFC 9110 sections 15.2 and 7.6; nginx's proxy module reads one status line an answer.
set -euo pipefail

version=1.22.1-9+deb12u11
work=$(mktemp -d)
trap 'kill ${nginx:-} ${program:-} 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q "nginx=$version" >/dev/null 2>&1
dpkg -x nginx_*.deb nginx
mkdir -p logs temp

cat > program.py <<'PY'
"""Answers each connection's first request with an interim response and a final one."""
import socket, sys
interim = sys.argv[2].encode()
listener = socket.create_server(("127.0.0.1", 0))
open(sys.argv[1], "w").write(str(listener.getsockname()[1]))
while True:
    client, _ = listener.accept()
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(65536)
    client.sendall(b"HTTP/1.1 " + interim + b"\r\nLink: </a.css>; rel=preload\r\n\r\n")
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    client.close()
PY

# What a client that reads for two seconds gets through nginx, when the program says $1 first.
through_nginx() {
  rm -f port
  python3 program.py port "$1" & program=$!
  until [ -s port ]; do sleep 0.05; done
  listen=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat > nginx.conf <<CONF
daemon off; pid $work/pid; error_log $work/logs/error.log; events {}
http {
  log_format status '\$status'; access_log logs/access.log status;
  add_header X-Filter seen always;
  client_body_temp_path temp/a; proxy_temp_path temp/b; fastcgi_temp_path temp/c; uwsgi_temp_path temp/d; scgi_temp_path temp/e;
  server { listen 127.0.0.1:$listen; location / { proxy_pass http://127.0.0.1:$(cat port); proxy_http_version 1.1; } }
}
CONF
  nginx/usr/sbin/nginx -p "$work" -c "$work/nginx.conf" 2>/dev/null & nginx=$!
  python3 - "$listen" <<'PY'
import socket, sys, time
for _ in range(100):
    try:
        client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        break
    except OSError:
        time.sleep(0.05)
client.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
client.settimeout(2)
answer = b""
try:
    while piece := client.recv(65536):
        answer += piece
        if answer.endswith(b"hello"):
            break
except TimeoutError:
    pass
for head in answer.decode().split("\r\n\r\n")[:-1]:
    status, *fields = head.split("\r\n")
    print(status.split(" ", 1)[1], "(through the proxy's filters)" if "X-Filter: seen" in fields else "(as the program wrote it)", end="; ")
PY
  echo -n "logged as $(cat logs/access.log)"; rm logs/access.log
  kill "$nginx" "$program"; wait "$nginx" "$program" 2>/dev/null || true
}

nginx/usr/sbin/nginx -v 2>&1
hinted=$(through_nginx "103 Early Hints")
echo "the program says 103, then 200; the client gets: $hinted"
expected="103 Early Hints (through the proxy's filters); 200 OK (as the program wrote it); logged as 103"
[ "$hinted" = "$expected" ] || { echo "CHANGED, expected: $expected"; exit 1; }
echo "as described"
