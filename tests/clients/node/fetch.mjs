// Node's fetch against one entry: `node fetch.mjs BASE_URL WAY ARRIVAL`.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";

const [base, way, arrival] = process.argv.slice(2);
const url = (path) => `${base}/${way}/${path}`;
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const echo = await (await fetch(url("echo?a=%20b"), { headers: { "X-Some": "thing" } })).json();
assert.equal(echo.arrival, arrival);
assert.ok(echo.target.endsWith(`/${way}/echo?a=%20b`));
assert.ok(echo.fields.some(([name, value]) => name === "x-some" && value === "thing"));

const body = Buffer.alloc(3_000_000, "body");
const uploaded = await (await fetch(url("upload"), { method: "POST", body })).json();
assert.equal(uploaded.sha256, sha256(body));

// A stream has no length: chunked in HTTP/1.1.
const stream = new ReadableStream({
  start(controller) {
    for (let piece = 0; piece < 100; piece++) controller.enqueue(Buffer.alloc(10_000, piece));
    controller.close();
  },
});
const streamed = await fetch(url("upload"), { method: "PUT", body: stream, duplex: "half" });
assert.equal((await streamed.json()).length, 1_000_000);

const head = await fetch(url("bytes/1000000"), { method: "HEAD" });
assert.equal(head.headers.get("content-length"), "1000000");
assert.equal((await fetch(url("status/204"))).status, 204);
assert.equal((await fetch(url("status/404"))).status, 404);

const many = Array.from({ length: 100 }, async (_, number) => {
  const bytes = await (await fetch(url(`stream/${number * 1000}`))).arrayBuffer();
  assert.equal(bytes.byteLength, number * 1000);
});
await Promise.all(many);

// What is aborted in the middle leaves the rest working.
for (let round = 0; round < 5; round++) {
  const abort = new AbortController();
  const response = await fetch(url("bytes/100000000"), { signal: abort.signal });
  await response.body.getReader().read();
  abort.abort();
}
assert.equal((await (await fetch(url("bytes/3"))).arrayBuffer()).byteLength, 3);
console.log("done");
