"""Calls by HTTP/2 over TLS: URL CA. Says what it saw."""

import json
import ssl
import sys

import httpx

url, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
with httpx.Client(http2=True, http1=False, verify=context, headers={"host": "api.test"}, trust_env=False) as client:
    sni = {"sni_hostname": "api.test"}
    versions = set()
    for size in (0, 1, 100_000, 1_000_000):
        answer = client.post(url, content=b"x" * size, extensions=sni)
        assert answer.status_code == 200 and answer.content == b"good", answer
        versions.add(answer.http_version)
    with client.stream("POST", url, content=(b"chunk" for _ in range(100)), extensions=sni) as answer:
        assert answer.read() == b"good"
    refused = client.request("TRACE", url, extensions=sni)
print(json.dumps([sorted(versions), refused.headers["x-ca-error-code"]]))
