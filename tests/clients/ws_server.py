"""A WebSocket server that says back what it hears, with the Python package websockets. It prints its port, then how each
connection was closed."""

import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve


def echo(connection):
    try:
        for message in connection:
            connection.send(message)
    except ConnectionClosed:
        pass
    print("closed", connection.close_code, connection.close_reason, flush=True)


with serve(echo, "127.0.0.1", 0, max_size=None) as server:
    print(server.socket.getsockname()[1], flush=True)
    sys.stdout.flush()
    server.serve_forever()
