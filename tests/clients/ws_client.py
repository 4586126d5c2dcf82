"""The cases of an echo test, with the Python package websockets: URL, AppCode, and a file of authorities for wss.

With its client for asyncio: the other one receives in a thread of its own while it sends from another, and OpenSSL does not allow
that for one connection. A ticket of TLS 1.3 that comes while the request is being written makes it forget the request.
"""

import asyncio
import json
import os
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

url, app_code, authorities = sys.argv[1:4]
options = {"max_size": None, "proxy": None, "additional_headers": {"Authorization": "APPCODE " + app_code}}
if authorities:
    options["ssl"] = ssl.create_default_context(cafile=authorities)
    options["server_hostname"] = "api.test"


def open_one(**more):
    return connect(url, **{**options, **more})


async def fragments(connection):
    yield "first "
    await connection.ping()
    yield "second "
    yield ""
    await connection.ping(b"between")
    yield "last"


async def echoes(connection):
    cases = 0
    for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000, 5_000_000):
        for message in ("x" * size, os.urandom(size)):
            await connection.send(message)
            assert await connection.recv() == message, size
            cases += 1
    await connection.send("Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600")
    assert await connection.recv() == "Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600"
    await connection.send(fragments(connection))
    assert await connection.recv() == "first second last"
    await connection.send([b"ab", b"", b"c"])
    assert await connection.recv() == b"abc"
    await asyncio.wait_for(await connection.ping(b"alone"), 20)
    for n in range(500):
        await connection.send(str(n))
    assert [await connection.recv() for _ in range(500)] == [str(n) for n in range(500)]
    return cases + 5


async def main():
    cases = 0
    for compression in (None, "deflate"):
        async with open_one(compression=compression) as connection:
            cases += await echoes(connection)
    for code, reason in ((1000, ""), (1001, "going away"), (3000, ""), (4999, "of our own, \u00e4")):
        async with open_one() as connection:
            await connection.close(code, reason)
            assert connection.close_code == code, (connection.close_code, code)
        cases += 1
    try:
        async with open_one(additional_headers={}):
            raise AssertionError("a call without an AppCode was let through")
    except InvalidStatus as refused:
        return {"cases": cases, "refused": refused.response.headers["X-Ca-Error-Code"]}


print(json.dumps(asyncio.run(main())))
