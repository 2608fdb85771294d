"""grpcio: all four kinds of call to a destination over HTTP/2, and asked directly for comparison."""

import queue
import urllib.parse

import grpc
import pytest

from fronts import PATIENCE
from grpc_destination import OPTIONS, SERVICE


@pytest.fixture(
    params=[
        "directly",
        pytest.param("h2c", marks=pytest.mark.h2),
        pytest.param("tls2", marks=[pytest.mark.tls, pytest.mark.h2]),
    ]
)
def channel(request, grpc_destination, certificate):
    """A channel to the destination itself, or to a front before it."""
    if request.param == "tls2":
        address = request.getfixturevalue("tls_front").address
        trust = grpc.ssl_channel_credentials(certificate.authority.read_bytes())
        channel = grpc.secure_channel(urllib.parse.urlsplit(address).netloc, trust, OPTIONS)
    else:
        front = request.param == "h2c"
        address = request.getfixturevalue("front").address if front else grpc_destination.address
        channel = grpc.insecure_channel(urllib.parse.urlsplit(address).netloc, OPTIONS)
    with channel:
        yield channel


def test_unary(channel):
    unary = channel.unary_unary(f"/{SERVICE}/Unary")
    for _ in range(3):
        answer, call = unary.with_call(b"hello", timeout=PATIENCE, metadata=[("say", "hi")])
        assert answer == b"hello"
        assert call.code() == grpc.StatusCode.OK
        assert dict(call.initial_metadata())["said"] == "hi"
        trailers = dict(call.trailing_metadata())
        assert (trailers["behind"], trailers["bytes-bin"]) == ("trailer", b"\0\xff")


@pytest.mark.parametrize("size", [0, 16384, 65536, 20_000_000])
def test_messages_of_any_size(channel, size):
    message = bytes(range(256)) * (size // 256)
    assert channel.unary_unary(f"/{SERVICE}/Unary")(message, timeout=PATIENCE) == message


def test_server_streaming(channel):
    answers = channel.unary_stream(f"/{SERVICE}/Server")(b"1000", timeout=PATIENCE)
    assert [int(answer) for answer in answers] == list(range(1000))


def test_client_streaming(channel):
    messages = (bytes(number) for number in range(500))
    answer = channel.stream_unary(f"/{SERVICE}/Client")(messages, timeout=PATIENCE)
    assert int(answer) == sum(range(500))


def test_both_streaming_in_turn(channel):
    """Each message is sent when the answer to the one before is here: nothing may be held back."""
    messages = queue.Queue()
    answers = channel.stream_stream(f"/{SERVICE}/Both")(iter(messages.get, None), timeout=PATIENCE)
    for number in range(100):
        messages.put(b"%d" % number)
        assert next(answers) == b"%d" % number
    messages.put(None)
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK


def test_many_calls_at_once(channel):
    unary = channel.unary_unary(f"/{SERVICE}/Unary")
    calls = [unary.future(b"%d" % number * 1000, timeout=PATIENCE) for number in range(200)]
    for number, call in enumerate(calls):
        assert call.result() == b"%d" % number * 1000


def test_a_status_without_a_message(channel):
    """Head and trailers are one: gRPC's answer that consists of trailers alone."""
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(f"/{SERVICE}/Fail")(b"", timeout=PATIENCE)
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert error.value.details() == "es geht nicht: ü"
    assert dict(error.value.trailing_metadata())["why"] == "asked"


def test_a_status_behind_a_message(channel):
    answers = channel.unary_stream(f"/{SERVICE}/FailLate")(b"", timeout=PATIENCE)
    assert next(answers) == b"first"
    with pytest.raises(grpc.RpcError) as error:
        next(answers)
    assert error.value.code() == grpc.StatusCode.DATA_LOSS


def test_an_unknown_method(channel):
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(f"/{SERVICE}/Unknown")(b"", timeout=PATIENCE)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline(channel, grpc_destination):
    grpc_destination.cancelled.clear()
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(f"/{SERVICE}/Wait")(b"", timeout=0.3)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert grpc_destination.cancelled.wait(PATIENCE), "the destination never learned of it"


def test_cancellation(channel, grpc_destination):
    grpc_destination.waiting.clear()
    grpc_destination.cancelled.clear()
    call = channel.unary_unary(f"/{SERVICE}/Wait").future(b"", timeout=None)
    assert grpc_destination.waiting.wait(PATIENCE)
    call.cancel()
    assert grpc_destination.cancelled.wait(PATIENCE), "the destination never learned of it"
    assert channel.unary_unary(f"/{SERVICE}/Unary")(b"on", timeout=PATIENCE) == b"on"
