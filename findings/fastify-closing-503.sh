#!/usr/bin/env bash
# fastify answers 503 to requests on open connections while it closes, so a graceful stop loses requests.
#
# What surprises: `app.close()` is fastify's graceful shutdown. Requests that were begun are waited for, but one
# that arrives on a kept connection meanwhile (a proxy's pooled one, in the moment before it learns of the stop) is
# answered `503 Service Unavailable` with `Connection: close`. Node's own `server.close()` and express serve it.
# For the proxy this is an answer of the application like any other, so it can't be told from an overload
# and a POST is not sent again. Either stop the flow of requests first and close then, or set
# `return503OnClosing: false`.
#
# Versions: fastify 5.12.8, express 5.3.0. Seen 2026-11-28.
# Source: fastify's documentation of `return503OnClosing`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit fastify@5.12.8 express@5.3.0 >/dev/null
cat > closing.mjs <<'JS'
import net from 'node:net';
import { createRequire } from 'node:module';
import express from 'express';
import fastify from 'fastify';

const version = (name) => createRequire(import.meta.url)(`${name}/package.json`).version;

/** The statuses of a request that is being answered when the stop begins, and of the next one behind it. */
async function whileClosing(port, stop) {
  const client = net.connect(port, '127.0.0.1');
  let heard = '';
  client.on('data', (piece) => { heard += piece; });
  client.write('GET /slow HTTP/1.1\r\nHost: shop.example\r\n\r\n');
  await new Promise((done) => setTimeout(done, 200));
  const stopped = stop();
  await new Promise((done) => setTimeout(done, 100));
  client.write('GET /next HTTP/1.1\r\nHost: shop.example\r\n\r\n');
  await new Promise((done) => { client.on('close', done); setTimeout(done, 2000); });
  client.destroy();
  await stopped;
  return [...heard.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]).join(', then ');
}

const slow = () => new Promise((done) => setTimeout(() => done('slow'), 600));

async function ofFastify(options) {
  const app = fastify({ forceCloseConnections: false, ...options });
  app.get('/slow', slow);
  app.get('/next', async () => 'next');
  await app.listen({ port: 0, host: '127.0.0.1' });
  return whileClosing(app.server.address().port, () => app.close());
}

async function ofExpress() {
  const app = express();
  app.get('/slow', async (_, response) => response.send(await slow()));
  app.get('/next', (_, response) => response.send('next'));
  const server = app.listen(0, '127.0.0.1');
  await new Promise((done) => server.on('listening', done));
  return whileClosing(server.address().port, () => new Promise((done) => server.close(done)));
}

const seen = {
  [`fastify ${version('fastify')}`]: await ofFastify({}),
  'with return503OnClosing: false': await ofFastify({ return503OnClosing: false }),
  [`express ${version('express')}`]: await ofExpress(),
};
console.log('Node', process.version, seen);
const [fast, told, plain] = Object.values(seen);
if (fast !== '200, then 503' || told !== '200, then 200' || plain !== '200, then 200') { console.log('CHANGED'); process.exit(1); }
console.log('as described');
process.exit(0);
JS
node closing.mjs
