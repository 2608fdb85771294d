'use strict';

// The package `ws`, behind a queue.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { WebSocket } = require('ws');
const { Sandbox, ask } = require('./support.js');

async function start(t) {
  const sandbox = new Sandbox(t);
  const program = await sandbox.registered('ws.js');
  const { program: front, port } = await sandbox.front();
  return { program, front, port };
}

async function open(port, target = '/chat') {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${target}`);
  const [hello] = await once(socket, 'message');
  assert.equal(`${hello}`, `hello 127.0.0.1 ${target}`);
  return socket;
}

async function echoes(socket, message) {
  socket.send(message);
  const [echo, isBinary] = await once(socket, 'message');
  assert.equal(isBinary, typeof message !== 'string');
  assert.ok(Buffer.from(message).equals(echo));
}

test('messages of every kind come back, with the front and without it', async (t) => {
  const { program, front, port } = await start(t);
  const socket = await open(port);
  for (const message of ['hello', '', Buffer.alloc(3_000_000, 'w'), Buffer.from([0, 255])]) await echoes(socket, message);
  await front.stop('SIGKILL');
  await echoes(socket, 'alone');
  socket.close(4000);
  assert.equal((await once(socket, 'close'))[0], 4000);
  assert.equal(await program.line('closed'), 'closed 4000');
});

test('a handshake that is refused is answered', async (t) => {
  const { port } = await start(t);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/forbidden`);
  const [, response] = await once(socket, 'unexpected-response');
  assert.equal(response.statusCode, 401);
  response.destroy();
  assert.equal((await ask(port, '/')).body, 'plain\n');
});

test('a client that vanishes closes its socket', async (t) => {
  const { program, port } = await start(t);
  const socket = await open(port);
  socket.terminate();
  assert.equal(await program.line('closed'), 'closed 1006');
});

test('sockets outlive the server that has closed until they are closed', async (t) => {
  const { program, port } = await start(t);
  const socket = await open(port);
  const ended = program.stop();
  assert.equal((await once(socket, 'close'))[0], 1001);
  assert.equal(await ended, 0, program.errors);
});
