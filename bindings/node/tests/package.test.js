'use strict';

// The package's own functions.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { test } = require('node:test');
const { readFileSync } = require('node:fs');
const { open } = require('node:fs/promises');
const { ServerResponse } = require('node:http');
const expressOf = require('express');
const fastify = require('fastify');
const Koa = require('koa');
const ostler = require('ostler');
const { Sandbox, ask } = require('./support.js');

test('a server of ours listens on a queue, or as any other', async (t) => {
  const sandbox = new Sandbox(t);
  const { port: front } = await sandbox.front();
  const runtimeFolder = path.join(sandbox.folder, 'run');
  const served = ostler.createServer((request, response) => response.end('queue'));
  served.listen({ queue: 'q', urlPrefix: 'http://*:80/', label: 'mine', runtimeFolder });
  await once(served, 'listening');
  assert.equal(served.address(), 'ostler:q');
  assert.throws(() => served.listen({ queue: 'q', runtimeFolder }), { code: 'ERR_SERVER_ALREADY_LISTEN' });
  assert.equal((await ask(front, '/')).body, 'queue');
  const plain = ostler.createServer((request, response) => response.end('port')).listen(0);
  await once(plain, 'listening');
  assert.equal((await ask(plain.address().port, '/')).body, 'port');
  plain.close();
  const second = ostler.createServer().listen({ queue: 'q', mode: 'create', runtimeFolder });
  const [error] = await once(second, 'error');
  assert.equal(error.code, 'ERR_OSTLER_QUEUE');
  await new Promise((closed) => { served.close(closed); });
  assert.equal(served.listening, false);
});

test('frameworks take a server of ours', async (t) => {
  const sandbox = new Sandbox(t);
  const { port: front } = await sandbox.front();
  const runtimeFolder = path.join(sandbox.folder, 'run');
  const koa = new Koa();
  koa.use((context) => { context.body = 'koa'; });
  const fast = fastify({ serverFactory: (handler) => ostler.createServer(handler) });
  fast.get('/', () => 'fastify');
  await fast.ready();
  const express = expressOf();
  express.get('/', (request, response) => response.send('express'));
  const servers = { fastify: fast.server, koa: ostler.createServer(koa.callback()), express: ostler.createServer(express) };
  for (const [name, server] of Object.entries(servers)) {
    server.listen({ queue: 'q', runtimeFolder });
    await once(server, 'listening');
    assert.equal((await ask(front, '/')).body, name);
    await new Promise((closed) => { server.close(closed); });
  }
});

test('a file is sent, whole or in part', async (t) => {
  const sandbox = new Sandbox(t);
  const { port: front } = await sandbox.front();
  const server = ostler.createServer(async (request, response) => {
    const file = await open(__filename);
    const part = request.url === '/part' ? { start: 10, end: 20 } : {};
    response.setHeader('Content-Type', 'text/javascript');
    response.on('finish', () => finished.push(request.url));
    ostler.sendFile(response, file, part);
    assert.throws(() => ostler.sendFile(response, file));
    await file.close();
  });
  const finished = [];
  server.listen({ queue: 'q', runtimeFolder: path.join(sandbox.folder, 'run') });
  const text = readFileSync(__filename, 'utf8');
  const whole = await ask(front, '/');
  assert.equal(whole.body, text);
  assert.equal(whole.headers['content-type'], 'text/javascript');
  assert.equal((await ask(front, '/part')).body, text.slice(10, 20));
  const range = await ask(front, '/', { headers: { range: 'bytes=-5' } });
  assert.deepEqual([range.status, range.body], [206, text.slice(-5)]);
  assert.equal((await ask(front, '/', { method: 'HEAD' })).headers['content-length'], `${Buffer.byteLength(text)}`);
  await new Promise((closed) => { server.close(closed); });
  assert.deepEqual(finished, ['/', '/part', '/', '/']);
  assert.throws(() => ostler.sendFile(new ServerResponse({}), 0), TypeError);
});

test('its types are what it is', () => {
  const compiler = require.resolve('typescript/bin/tsc');
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', 'types.mts'];
  try {
    execFileSync(process.execPath, [compiler, ...options], { cwd: __dirname, encoding: 'utf8' });
  } catch (error) {
    assert.fail(error.stdout);
  }
});
