"""Calls signed by the package alibabacloud-apigateway-util, which signs but does not send: util.py URL KEY SECRET SCENARIO."""

import http.client
import sys
import uuid
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

from alibabacloud_apigateway_util.client import Client

import answer

url, key, secret, scenario = sys.argv[1:]
# The package signs the query in the order and spelling given.
method, path, query, body = {
    "get": ("GET", "/echo", {"a": "1", "b": "2"}, None),
    "form": ("POST", "/post", {"a": "1"}, "name=x"),
    "json": ("POST", "/post", {}, '{"x":1,"name":"\u540d"}'),
}[scenario]
headers = {
    "accept": "application/json",
    "date": "Sun, 22 Nov 2026 20:00:00 GMT",
    "host": urlsplit(url).netloc,
    "x-ca-key": key,
    "x-ca-nonce": str(uuid.uuid4()),
    "x-ca-timestamp": Client.get_time_stamp(),
    "x-ca-signature-method": "HmacSHA256",
}
if scenario == "json":
    headers["content-type"] = "application/json"
    headers["content-md5"] = Client.get_content_md5(body)
elif scenario == "form":
    headers["content-type"] = "text/plain"
    headers["content-md5"] = Client.get_content_md5(body)
request = SimpleNamespace(method=method, pathname=path, query=query, headers=headers)
headers["x-ca-signature"] = Client.get_signature(request, secret)
connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
target = path + ("?" + urlencode(query) if query else "")
connection.request(method, target, body=body.encode() if body else None, headers=headers)
response = connection.getresponse()
answer.show(response.status, response.getheaders(), response.read())
