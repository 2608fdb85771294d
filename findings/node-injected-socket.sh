#!/usr/bin/env bash
# A Node HTTP server that is given its sockets, and never listens itself, enforces none of its time limits.
#
# What surprises: `server.emit('connection', socket)` is the documented way to have an HTTP server serve a
# socket that came from elsewhere (another process, a tunnel, a test). All works, but `headersTimeout` and
# `requestTimeout` do nothing: the interval that checks connections is started by listening alone.
# A client that sends half a head stays for ever; the same server closes it with 408 if it listens.
# `closeIdleConnections()` closes none of these connections either, since the same list is behind it.
# Whoever hands sockets to a Node program has to bound heads and bodies in time himself.
#
# Versions: Node 20 (20.20.2) and what `node` is here. Seen 2026-11-28.
# Source: Node's documentation of 'connection', server.headersTimeout, server.connectionsCheckingInterval.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit node@20.20.2 >/dev/null 2>&1 || true
node=node_modules/.bin/node
[ -x "$node" ] || node=$(command -v node)
cat > served.mjs <<'JS'
import http from 'node:http';
import net from 'node:net';

const limits = { headersTimeout: 500, requestTimeout: 1000, connectionsCheckingInterval: 100 };

/** What a client of `port` that sends half a head hears within three seconds. */
function halfAHead(port) {
  return new Promise((resolve) => {
    const client = net.connect(port, '127.0.0.1', () => client.write('GET / HTTP/1.1\r\nHost: shop.exam'));
    let heard = '';
    client.on('data', (piece) => { heard += piece; });
    client.on('close', () => resolve(heard.split('\r\n')[0] || 'closed without a word'));
    setTimeout(() => { resolve('nothing for three seconds'); client.destroy(); }, 3000);
  });
}

/** Whether `closeIdleConnections` closes a connection that has had its answer. */
function closesIdle(port, server) {
  return new Promise((resolve) => {
    const client = net.connect(port, '127.0.0.1', () => client.write('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n'));
    client.once('data', () => setTimeout(() => server.closeIdleConnections(), 100));
    client.on('close', () => resolve(true));
    setTimeout(() => { resolve(false); client.destroy(); }, 1500);
  });
}

const listening = http.createServer(limits, (_, response) => response.end('hello'));
await new Promise((done) => listening.listen(0, '127.0.0.1', done));
const given = http.createServer(limits, (_, response) => response.end('hello'));
const acceptor = net.createServer((socket) => given.emit('connection', socket));
await new Promise((done) => acceptor.listen(0, '127.0.0.1', done));

console.log('Node', process.version);
const seen = {
  listens: [await halfAHead(listening.address().port), await closesIdle(listening.address().port, listening)],
  'is given sockets': [await halfAHead(acceptor.address().port), await closesIdle(acceptor.address().port, given)],
};
for (const [way, [heard, closed]] of Object.entries(seen))
  console.log(`a server that ${way}: half a head is answered by "${heard}", closeIdleConnections() closes: ${closed}`);
const expected = '{"listens":["HTTP/1.1 408 Request Timeout",true],"is given sockets":["nothing for three seconds",false]}';
if (JSON.stringify(seen) !== expected) { console.log('CHANGED'); process.exit(1); }
console.log('as described');
process.exit(0);
JS
"$node" served.mjs
