"""Calls through the package aliyun-api-gateway-sign: sign104.py URL KEY SECRET SCENARIO."""

import http.client
import sys
from urllib.parse import urlsplit

from com.aliyun.api.gateway.sdk import client
from com.aliyun.api.gateway.sdk.common import constant
from com.aliyun.api.gateway.sdk.http import request

import answer

url, key, secret, scenario = sys.argv[1:]


class Connection(http.client.HTTPConnection):
    """The package always connects to port 80: here it is sent to the gateway's."""

    def __init__(self, host, port=None, *rest, **named):
        super().__init__(host, urlsplit(url).port, *rest, **named)


http.client.HTTPConnection = Connection

target, method = ("/echo?b=2&a=1&e=", "GET") if scenario == "get" else ("/post", "POST")
call = request.Request(host=url, protocol=constant.HTTP, url=target, method=method, time_out=20)
if scenario == "form":
    call.set_content_type(constant.CONTENT_TYPE_FORM)
    call.set_body({"name": "\u540d \u5b57", "a": "1"})
elif scenario == "json":
    # The package signs bodies that are no forms only as octet streams.
    call.set_content_type(constant.CONTENT_TYPE_STREAM)
    call.set_body('{"x":1,"name":"\u540d"}'.encode())
answer.show(*client.DefaultClient(app_key=key, app_secret=secret).execute(call))
