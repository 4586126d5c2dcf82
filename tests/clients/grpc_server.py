"""A gRPC server without a schema: what it is sent, it sends back. Says its port."""

import threading
from concurrent import futures

import grpc


def unary(request, context):
    if request == b"missing":
        context.set_trailing_metadata((("why", "no such thing"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")
    if request == b"late":
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(20)
    context.set_trailing_metadata((("length", str(len(request))),))
    return request


def split(request, context):
    for byte in request:
        yield bytes([byte])


def join(requests, context):
    return b"".join(requests)


def each(requests, context):
    for request in requests:
        yield request


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Split": grpc.unary_stream_rpc_method_handler(split),
    "Join": grpc.stream_unary_rpc_method_handler(join),
    "Each": grpc.stream_stream_rpc_method_handler(each),
}

server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", METHODS),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
