"""A gRPC service of bytes, without generated code: every kind of call, statuses, trailers, waiting."""

import threading
import time
from concurrent import futures

import grpc

SERVICE = "grpc.testing.Echo"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcDestination(grpc.GenericRpcHandler):
    """grpcio's server; it speaks HTTP/2 in clear text by prior knowledge alone."""

    def __init__(self):
        self.waiting = threading.Event()
        self.cancelled = threading.Event()
        self.server = grpc.server(futures.ThreadPoolExecutor(64), options=OPTIONS)
        self.server.add_generic_rpc_handlers([self])
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"http://127.0.0.1:{port}/"
        self.server.start()

    def stop(self) -> None:
        self.server.stop(grace=None).wait(10)

    def service(self, call):
        kinds = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Server": grpc.unary_stream_rpc_method_handler(self.server_streaming),
            "Client": grpc.stream_unary_rpc_method_handler(self.client_streaming),
            "Both": grpc.stream_stream_rpc_method_handler(self.both_streaming),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "FailLate": grpc.unary_stream_rpc_method_handler(self.fail_late),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
        }
        return kinds.get(call.method.removeprefix(f"/{SERVICE}/"))

    def unary(self, request: bytes, context) -> bytes:
        metadata = dict(context.invocation_metadata())
        context.send_initial_metadata([("said", metadata.get("say", ""))])
        context.set_trailing_metadata([("behind", "trailer"), ("bytes-bin", b"\0\xff")])
        return request

    def server_streaming(self, request: bytes, context):
        for number in range(int(request)):
            yield b"%d" % number

    def client_streaming(self, requests, context) -> bytes:
        return b"%d" % sum(len(request) for request in requests)

    def both_streaming(self, requests, context):
        yield from requests

    def fail(self, request: bytes, context) -> bytes:
        context.set_trailing_metadata([("why", "asked")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "es geht nicht: ü")

    def fail_late(self, request: bytes, context):
        yield b"first"
        context.abort(grpc.StatusCode.DATA_LOSS, "behind the first message")

    def wait(self, request: bytes, context) -> bytes:
        """Waits until the call is over, which only the client can bring about."""
        context.add_callback(self.cancelled.set)
        self.waiting.set()
        while context.is_active():
            time.sleep(0.02)
        return b""
