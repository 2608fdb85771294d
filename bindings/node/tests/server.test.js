'use strict';

// What Node's server promises beside its answers.

const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const { test } = require('node:test');
const { Sandbox, ask } = require('./support.js');

async function start(t, app = 'server.js') {
  const sandbox = new Sandbox(t);
  const program = await sandbox.registered(app);
  const { port } = await sandbox.front();
  return { sandbox, program, port };
}

test('it listens on its queue, whose name is its address', async (t) => {
  const { program } = await start(t);
  assert.deepEqual(program.lines, ['ready "ostler:q" true']);
});

test('a response is finished, then closed, and cannot be changed', async (t) => {
  const { program, port } = await start(t);
  assert.equal((await ask(port, '/events')).body, 'events');
  assert.equal(await program.line('["prefinish"'), '["prefinish","finish","close","request close"] true true');
  assert.equal((await ask(port, '/twice')).body, 'once');
  await program.line('ERR_HTTP_HEADERS_SENT');
  await program.line('ERR_STREAM_WRITE_AFTER_END');
});

test('a program is held back by a slow client', async (t) => {
  const { program, port } = await start(t);
  const client = net.connect(port, '127.0.0.1');
  client.write('GET /drain HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(client, 'readable');
  client.read(1000);
  await ask(port, '/facts');
  assert.ok(!program.lines.some((line) => line.startsWith('waited')));
  client.resume();
  assert.equal(await program.line('waited'), 'waited true false');
  client.destroy();
});

test('a client that goes is heard of by request and response', async (t) => {
  const { program, port } = await start(t);
  const client = net.connect(port, '127.0.0.1');
  client.write('GET /waits HTTP/1.1\r\nHost: x\r\n\r\n');
  await program.line('waiting');
  client.destroy();
  await program.line('aborted');
  await program.line('request ECONNRESET');
  assert.equal(await program.line('closed'), 'closed false true');
});

test('a request that is destroyed is cut off', async (t) => {
  const { port } = await start(t);
  const answer = await ask(port, '/throws').then(({ status }) => status, (error) => error.code);
  assert.ok([500, 'ECONNRESET'].includes(answer), `${answer}`);
  assert.equal((await ask(port, '/facts')).status, 200);
});

test('a connection carries request after request, to one program and another', async (t) => {
  const { sandbox, program, port } = await start(t, 'koa.js');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  for (let count = 0; count < 3; count += 1) assert.equal((await ask(port, '/json', { agent })).status, 200);
  assert.equal(await program.stop(), 0);
  const waiting = ask(port, '/json?again', { agent });
  await sandbox.registered('koa.js');
  assert.match((await waiting).body, /again/);
});

test('a server that closes answers what it has begun, and the program ends', async (t) => {
  const { program, port } = await start(t);
  const flushed = ask(port, '/timeout');
  // The request is there once another one, behind it, is answered.
  await ask(port, '/facts');
  assert.equal(await program.stop(), 0, program.errors);
  assert.equal((await flushed).body, 'timed out');
  assert.ok(program.lines.includes('server closed'));
});

test('many requests at once are all answered', async (t) => {
  const { port } = await start(t, 'express.js');
  const all = Array.from({ length: 300 }, (_, at) => ask(port, `/json?n=${at}`));
  const answers = await Promise.all(all);
  answers.forEach(({ body }, at) => assert.equal(JSON.parse(body).query.n, `${at}`));
});
