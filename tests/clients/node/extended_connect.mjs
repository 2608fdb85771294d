// A WebSocket on an HTTP/2 stream (RFC 8441): `node extended_connect.mjs BASE_URL WAY`.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [base, way] = process.argv.slice(2);
const session = http2.connect(base, { ca: readFileSync(process.env.NODE_EXTRA_CA_CERTS) });
const [settings] = await once(session, "remoteSettings");
assert.equal(settings.enableConnectProtocol, true, "SETTINGS_ENABLE_CONNECT_PROTOCOL is not 1");

// Masked with zeros, so that the payload can be read as it is (RFC 6455 section 5.3).
function frame(opcode, payload) {
  assert.ok(payload.length < 126);
  const head = Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}

const stream = session.request({
  ":method": "CONNECT",
  ":protocol": "websocket",
  ":path": `/${way}/ws`,
  "sec-websocket-version": "13",
}, { endStream: false });
const [response] = await once(stream, "response");
assert.equal(response[":status"], 200);
assert.equal(response["sec-websocket-accept"], undefined);

let received = Buffer.alloc(0);
async function take(count) {
  while (received.length < count) {
    received = Buffer.concat([received, (await once(stream, "data"))[0]]);
  }
  const taken = received.subarray(0, count);
  received = received.subarray(count);
  return taken;
}

for (const text of ["hello", "on a stream", "grüße"]) {
  const payload = Buffer.from(text);
  stream.write(frame(1, payload));
  const echoed = await take(2 + payload.length);
  assert.deepEqual(echoed, Buffer.concat([Buffer.from([0x81, payload.length]), payload]));
}
stream.write(frame(8, Buffer.from([3, 232])));
assert.equal((await take(2))[0], 0x88);
stream.end();
session.close();
await once(session, "close");
console.log("done");
