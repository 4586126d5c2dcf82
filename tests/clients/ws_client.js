// The cases of an echo test, with the npm package ws: URL, AppCode, and a file of authorities for wss.
'use strict';

const assert = require('assert');
const crypto = require('crypto');
const { once } = require('events');
const fs = require('fs');
const WebSocket = require('ws');

const [url, appCode, authorities] = process.argv.slice(2);
const options = (more) => ({
  maxPayload: 0,
  headers: { Authorization: `APPCODE ${appCode}` },
  ...(authorities ? { ca: fs.readFileSync(authorities), servername: 'api.test' } : {}),
  ...more,
});

async function open(more) {
  const socket = new WebSocket(url, options(more));
  await once(socket, 'open');
  return socket;
}

async function echo(socket, send, expected) {
  const heard = once(socket, 'message');
  send();
  const [data, binary] = await heard;
  assert.ok(Buffer.from(expected).equals(data), `${data.length} bytes of ${expected.length}`);
  assert.strictEqual(binary, Buffer.isBuffer(expected));
}

async function main() {
  let cases = 0;
  for (const perMessageDeflate of [false, true]) {
    const socket = await open({ perMessageDeflate });
    for (const size of [0, 1, 125, 126, 65535, 65536, 1000000, 5000000]) {
      for (const message of ['x'.repeat(size), crypto.randomBytes(size)]) {
        await echo(socket, () => socket.send(message), message);
        cases += 1;
      }
    }
    await echo(socket, () => {
      socket.send('first ', { fin: false });
      socket.ping('between');
      socket.send('second ', { fin: false });
      socket.pong('unasked');
      socket.send('', { fin: false });
      socket.send('last', { fin: true });
    }, 'first second last');
    const pong = once(socket, 'pong');
    socket.ping('alone');
    for (let heard = await pong; heard[0].toString() !== 'alone';) heard = await once(socket, 'pong');
    cases += 2;
    socket.close(1000);
    await once(socket, 'close');
  }
  for (const [code, reason] of [[1000, ''], [1001, 'going away'], [3000, ''], [4999, 'of our own, \u00e4']]) {
    const socket = await open({});
    socket.close(code, reason);
    const [heard] = await once(socket, 'close');
    assert.strictEqual(heard, code);
    cases += 1;
  }
  const stranger = new WebSocket(url, options({ headers: {} }));
  const [, response] = await once(stranger, 'unexpected-response');
  response.resume();
  console.log(JSON.stringify({ cases, refused: response.headers['x-ca-error-code'] }));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
