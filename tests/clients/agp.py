"""Calls through the package aliyun-api-gateway-python: agp.py URL KEY SECRET SCENARIO."""

import sys

from aliyun_api_gateway import ApiGatewayClient
from aliyun_api_gateway.models import ApiGatewayRequest

import answer

url, key, secret, scenario = sys.argv[1:]
client = ApiGatewayClient(url, key, secret, timeout=20)
if scenario == "get":
    request = ApiGatewayRequest("GET", "/echo", query={"b": "2", "a": "1 +\u540d", "e": ""})
elif scenario == "form":
    request = ApiGatewayRequest("POST", "/post?q=1", form={"name": "\u540d \u5b57", "a": "1"})
else:
    request = ApiGatewayRequest("POST", "/post", json_body={"x": 1, "name": "\u540d"})
response = client.send(request)
answer.show(response.status, response.headers, response.body)
