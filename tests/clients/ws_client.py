"""The cases of an echo test, with the Python package websockets: URL, AppCode, and a file of authorities for wss."""

import json
import os
import ssl
import sys

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

url, app_code, authorities = sys.argv[1:4]
options = {"max_size": None, "proxy": None, "additional_headers": {"Authorization": "APPCODE " + app_code}}
if authorities:
    options["ssl"] = ssl.create_default_context(cafile=authorities)
    options["server_hostname"] = "api.test"


def open_one(**more):
    return connect(url, **{**options, **more})


def fragments(connection):
    yield "first "
    connection.ping()
    yield "second "
    yield ""
    connection.ping(b"between")
    yield "last"


cases = 0
for compression in (None, "deflate"):
    with open_one(compression=compression) as connection:
        for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000, 5_000_000):
            for message in ("x" * size, os.urandom(size)):
                connection.send(message)
                assert connection.recv() == message, (compression, size)
                cases += 1
        connection.send("Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600")
        assert connection.recv() == "Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600"
        connection.send(fragments(connection))
        assert connection.recv() == "first second last"
        connection.send(iter([b"ab", b"", b"c"]))
        assert connection.recv() == b"abc"
        assert connection.ping(b"alone").wait(20), "no pong"
        for n in range(500):
            connection.send(str(n))
        assert [connection.recv() for _ in range(500)] == [str(n) for n in range(500)]
        cases += 5

for code, reason in ((1000, ""), (1001, "going away"), (3000, ""), (4999, "of our own, \u00e4")):
    connection = open_one()
    connection.close(code, reason)
    assert connection.close_code == code, (connection.close_code, code)
    cases += 1

try:
    open_one(additional_headers={})
    raise AssertionError("a call without an AppCode was let through")
except InvalidStatus as refused:
    code = refused.response.headers["X-Ca-Error-Code"]
print(json.dumps({"cases": cases, "refused": code}))
