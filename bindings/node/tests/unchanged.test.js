'use strict';

// Applications that know nothing of queues answer behind one as they do where they listen.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Sandbox, ask } = require('./support.js');

const json = { 'content-type': 'application/json' };
const COMMON = [
  ['/json?a=1&a=2'],
  ['/json', { method: 'HEAD' }],
  ['/json', { method: 'POST', headers: json, body: '{"a":[1,"\u00e9"]}' }],
  ['/json', { method: 'POST', headers: json, body: '{"a":' }],
  ['/stream'],
  ['/cookies'],
  ['/error'],
  ['/missing'],
  ['/json', { method: 'OPTIONS' }],
];
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const OF = {
  'express.js': [
    ['/form', { method: 'POST', headers: form, body: 'a=1&b=%C3%A9' }],
    ['/raw', { method: 'POST', body: Buffer.alloc(3_000_000, 'x') }],
    ['/file'],
    ['/file', { headers: { range: 'bytes=0-9' } }],
    ['/file', { method: 'HEAD' }],
    ['/latin'],
  ],
  'fastify.mjs': [['/schema?n=1'], ['/schema?n=x']],
  'koa.js': [['/empty']],
  'server.js': [
    ['/headers', { headers: { 'X-Twice': ['1', '2'], Cookie: ['a=1', 'b=2'] } }],
    ['/facts'], ['/array'], ['/object'], ['/both'], ['/flush'], ['/invalid'], ['/none'], ['/unchanged'], ['/length'],
    ['/close'], ['/drain'], ['/timeout'], ['/nothing'], ['/nothing', { method: 'POST', body: 'unread' }],
    ['/', { method: 'POST', headers: { expect: '100-continue' }, body: 'expected' }],
    ['/', { method: 'POST', headers: { expect: '100-continue', 'x-refuse': '1' }, body: 'expected' }],
  ],
};

/** What may differ: times, and framing, which is not the application's: the library tells a length where it knows one. */
function comparable({ status, headers, trailers, body }) {
  const rest = { ...headers };
  for (const name of ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length']) delete rest[name];
  return { status, headers: rest, trailers, body: body.replaceAll(/:\d{4,5}\b/g, ':PORT') };
}

for (const app of Object.keys(OF)) {
  test(`${app} answers as it does where it listens`, async (t) => {
    const sandbox = new Sandbox(t);
    const program = await sandbox.registered(app);
    const { port: front } = await sandbox.front();
    const { port: direct } = await sandbox.listening(app);
    const requests = app === 'server.js' ? OF[app] : [...COMMON, ...OF[app]];
    for (const [target, options] of requests) {
      const expected = comparable(await ask(direct, target, options));
      const answered = comparable(await ask(front, target, options));
      assert.deepEqual(answered, expected, `${options?.method ?? 'GET'} ${target}`);
    }
    assert.equal(await program.stop(), 0, program.errors);
  });
}
