#!/usr/bin/env bash
# A POST of the JDK's HttpClient reaches an ASGI application without its body under uvicorn with httptools.
#
# What surprises: java.net.http.HttpClient prefers HTTP/2 and so offers `Upgrade: h2c` with the first request on each
# clear-text connection, a POST with its body included. A server that does not know h2c is to ignore the offer
# (RFC 9110, section 7.8) and read on. uvicorn with httptools, which is what `uvicorn[standard]` installs, takes the
# bytes behind such a head for another protocol: the application is called with an empty body, though
# Content-Length says 5, and answers 200. uvicorn with h11, hypercorn and the JDK's own HTTP/1.1 mode do not lose it.
# So it shows with the defaults of both, and only when nothing in between takes the offer out.
#
# Versions: uvicorn 0.54.0, httptools 0.9.0, h11 0.16.0, OpenJDK 17.0.15. Seen 2026-11-29.
# Source: java.net.http.HttpClient.Builder.version; httptools' HttpParserUpgrade, which uvicorn answers only for
# WebSocket.
set -euo pipefail

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
cat > app.py <<'PY'
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = repr(body).encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(answer)).encode())]})
    await send({"type": "http.response.body", "body": answer})
PY
cat > Post.java <<'JAVA'
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Post {
    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newBuilder().version(HttpClient.Version.valueOf(arguments[0])).build();
        var request = HttpRequest.newBuilder(URI.create(arguments[1]))
            .POST(HttpRequest.BodyPublishers.ofString("hello")).build();
        System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
}
JAVA
serve() { # parser; prints the port
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  venv/bin/uvicorn --http "$1" --port "$port" --log-level error app:app >/dev/null 2>&1 &
  until (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
  echo "$port"
}
serve httptools > httptools; serve h11 > h11
ask() { java Post.java "$1" "http://127.0.0.1:$(cat "$2")/"; }
java -version 2>&1 | head -1
seen="httptools $(ask HTTP_2 httptools), h11 $(ask HTTP_2 h11), httptools without the offer $(ask HTTP_1_1 httptools)"
echo "the body that the application saw: $seen"
[ "$seen" = "httptools b'', h11 b'hello', httptools without the offer b'hello'" ] || { echo CHANGED; exit 1; }
echo 'as described'
