"""A server of the standard library alone, which knows nothing of queues: it listens where it is told to."""

import http.server
import json
import os
import signal
import socket
import socketserver
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def begin_chunks(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def do_GET(self):
        path, _, argument = self.path.partition("?")
        if path == "/env":
            self.say(os.environ.get(argument, ""))
        elif path == "/echo":
            self.say(json.dumps([self.path, self.headers.items()]))
        elif path == "/exit":
            print("asked to exit", file=sys.stderr, flush=True)
            os._exit(int(argument))
        elif path == "/hold":
            # Until it may go on, or the client is gone.
            mark(argument + ".begun")
            self.connection.settimeout(0.02)
            while not os.path.exists(argument):
                try:
                    if self.connection.recv(1) == b"":
                        mark(argument + ".gone")
                        self.close_connection = True
                        return
                except TimeoutError:
                    pass
            self.connection.settimeout(None)
            self.say(f"held {os.getpid()}")
        elif path == "/drip":
            self.begin_chunks()
            self.chunk(b"first\n")
            while not os.path.exists(argument):
                time.sleep(0.01)
            self.chunk(b"second\n")
            self.chunk(b"")
        else:
            self.say(f"program {os.getpid()}")

    do_HEAD = do_GET

    def do_POST(self):
        """Says each chunk of the body back as it comes."""
        self.begin_chunks()
        while size := int(self.rfile.readline(), 16):
            self.chunk(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        self.chunk(b"")


def mark(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))


def place():
    """The socket to listen on, which may be listening already."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        assert os.environ["LISTEN_FDS"] == "1"
        return socket.socket(fileno=3)
    if "SOCKET" in os.environ:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.environ["SOCKET"])
        return listener
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(os.environ["PORT"])))
    return listener


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True

    def __init__(self, listener):
        super().__init__(None, Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        listener.listen(128)


def main(arguments):
    if "--fail" in arguments:
        print("the first line\nthere is no database", file=sys.stderr, flush=True)
        sys.exit(7)
    if "--deaf" in arguments:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, lambda *_: print("reloaded", file=sys.stderr, flush=True))
    if "--idle" in arguments:
        signal.pause()
    Server(place()).serve_forever()


main(sys.argv[1:])
