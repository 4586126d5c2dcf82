"""Calls of every kind through the gateway, in clear text and over TLS: ADDRESS [CA]. Says how many came out right."""

import json
import queue
import sys

import grpc

address, ca = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
if ca:
    credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
    channel = grpc.secure_channel(address, credentials, (("grpc.ssl_target_name_override", "api.test"),))
else:
    channel = grpc.insecure_channel(address)

unary = channel.unary_unary("/test.Echo/Unary")
split = channel.unary_stream("/test.Echo/Split")
join = channel.stream_unary("/test.Echo/Join")
each = channel.stream_stream("/test.Echo/Each")
cases = 0


def check(got, expected):
    global cases
    assert got == expected, (got, expected)
    cases += 1


for size in (0, 1, 1000, 100_000, 3_000_000):
    message = bytes(n % 251 for n in range(size))
    got, call = unary.with_call(message, timeout=20)
    check(got, message)
    check(dict(call.trailing_metadata())["length"], str(size))
check(list(split(b"abc" * 100, timeout=20)), [bytes([byte]) for byte in b"abc" * 100])
check(join(iter([b"a" * 70_000, b"b", b""] * 10), timeout=20), (b"a" * 70_000 + b"b") * 10)

# Each message comes back before the next one goes out.
messages = queue.Queue()
answers = each(iter(messages.get, None), timeout=20)
for n in range(50):
    messages.put(str(n).encode())
    check(next(answers), str(n).encode())
messages.put(None)
check(list(answers), [])

try:
    unary(b"missing", timeout=20)
    raise AssertionError("it passes")
except grpc.RpcError as error:
    check((error.code(), error.details()), (grpc.StatusCode.NOT_FOUND, "nothing here"))
    check(dict(error.trailing_metadata())["why"], "no such thing")

try:
    unary(b"late", timeout=0.3)
    raise AssertionError("it passes")
except grpc.RpcError as error:
    check(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)

calls = [unary.future(str(n).encode(), timeout=20) for n in range(200)]
check([call.result() for call in calls], [str(n).encode() for n in range(200)])
print(json.dumps(cases))
