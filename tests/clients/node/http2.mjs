// Node's HTTP/2 client against one entry: `node http2.mjs BASE_URL ARRIVAL`.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [base, delegated] = process.argv.slice(2);
const ca = readFileSync(process.env.NODE_EXTRA_CA_CERTS);
const session = http2.connect(base, { ca });
session.on("error", (error) => { throw error; });
await once(session, "remoteSettings");

// One request on the session: fields of the response, its body, and its trailers.
async function ask(fields, body = null) {
  const stream = session.request(fields, { endStream: body === null });
  let trailers = {};
  stream.on("trailers", (fields) => { trailers = fields; });
  const headers = once(stream, "response");
  if (body !== null) stream.end(body);
  const [response] = await headers;
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return { response, trailers, body: Buffer.concat(pieces) };
}

for (const [way, arrival] of [["forwarded", "direct"], ["delegated", delegated]]) {
  const echo = await ask({ ":path": `/${way}/echo?q`, "x-some": "thing", cookie: ["a=1", "b=2"] });
  assert.equal(echo.response[":status"], 200);
  // Fields that belong to a connection do not exist in HTTP/2 (RFC 9113 section 8.2.2).
  for (const name of ["connection", "keep-alive", "transfer-encoding"]) {
    assert.equal(echo.response[name], undefined);
  }
  const said = JSON.parse(echo.body);
  assert.equal(said.arrival, arrival);
  assert.ok(said.fields.some(([name, value]) => name === "x-some" && value === "thing"));
  // Pieces of a cookie are put together again for HTTP/1.1 (RFC 9113 section 8.2.3).
  assert.deepEqual(said.fields.filter(([name]) => name === "cookie"), [["cookie", "a=1; b=2"]]);

  // More than a window, up and down.
  const body = randomBytes(3_000_000);
  const uploaded = await ask({ ":method": "POST", ":path": `/${way}/upload` }, body);
  const sha256 = createHash("sha256").update(body).digest("hex");
  assert.equal(JSON.parse(uploaded.body).sha256, sha256);
  assert.equal((await ask({ ":path": `/${way}/bytes/3000000` })).body.length, 3_000_000);

  const head = await ask({ ":method": "HEAD", ":path": `/${way}/bytes/1000` });
  assert.equal(head.response["content-length"], "1000");
  assert.equal(head.body.length, 0);
}

const many = Array.from({ length: 100 }, async (_, number) => {
  const way = number % 2 ? "forwarded" : "delegated";
  const { body } = await ask({ ":path": `/${way}/stream/${number * 1000}` });
  assert.equal(body.length, number * 1000);
});
await Promise.all(many);

// A stream that waits holds up no other one.
const waiting = ask({ ":path": "/delegated/delay/1500" });
let over = false;
waiting.then(() => { over = true; });
await ask({ ":path": "/delegated/echo" });
assert.equal(over, false);
assert.equal((await waiting).response[":status"], 200);

// A stream that is not read holds up no other one either, and is let go of by a reset.
const unread = session.request({ ":path": "/forwarded/bytes/100000000" });
await once(unread, "response");
assert.equal((await ask({ ":path": "/forwarded/bytes/1000000" })).body.length, 1_000_000);
unread.close(http2.constants.NGHTTP2_CANCEL);
await once(unread, "close");

const trailing = await ask({ ":path": "/site/trailers", te: "trailers" });
assert.equal(trailing.body.toString(), "hello");
assert.equal(trailing.trailers["x-checksum"], "42");

// A connection that was fine all along is still the first one.
assert.equal((await ask({ ":path": "/delegated/bytes/3" })).body.length, 3);
session.close();
await once(session, "close");
console.log("done");
