'use strict';

// What Ostler's end-to-end tests ask of a program in any language; the paths are those of
// `crates/target-c/examples/c/server.c`.

const fs = require('node:fs');
const { parseArgs } = require('node:util');
const ostler = require('..');

const { values } = parseArgs({
  options: { queue: { type: 'string' }, label: { type: 'string' }, file: { type: 'string' } },
});

/** FNV-1a of 64 bits, in halves. */
class Sum {
  high = 0xcbf29ce4;
  low = 0x84222325;

  update(bytes) {
    let { high, low } = this;
    for (const byte of bytes) {
      low = (low ^ byte) >>> 0;
      const product = low * 0x1b3;
      high = (Math.imul(high, 0x1b3) + Math.floor(product / 2 ** 32) + (low << 8)) >>> 0;
      low = product >>> 0;
    }
    this.high = high;
    this.low = low;
  }

  toString() {
    return [this.high, this.low].map((half) => half.toString(16).padStart(8, '0')).join('');
  }
}

/** Byte i is i modulo 256. */
const PATTERN = Buffer.from(Uint8Array.from({ length: 64 * 1024 }, (_, at) => at));

/** Writes so many bytes, as fast as they are taken, then goes on. */
function generate(response, count, then) {
  let left = count;
  const goOn = () => {
    while (left > 0) {
      const piece = PATTERN.subarray(0, Math.min(left, PATTERN.length));
      left -= piece.length;
      if (!response.write(piece) && left > 0) {
        response.once('drain', goOn);
        return;
      }
    }
    then();
  };
  goOn();
}

function upload(request, response) {
  const sum = new Sum();
  let length = 0;
  request.on('data', (piece) => {
    length += piece.length;
    sum.update(piece);
  });
  request.on('end', () => {
    const trailers = request.rawTrailers.length / 2;
    response.end(`${JSON.stringify({ length, sum: `${sum}`, trailers })}\n`);
  });
  request.on('error', () => console.log('gone'));
}

function about(request, response) {
  const { socket } = request;
  const length = request.headers['content-length'] ?? (request.headers['transfer-encoding'] ? -1 : 0);
  const way = { delegated: 1, relayed: 2, streamed: 3 }[socket.arrival];
  const version = request.httpVersionMajor * 10 + request.httpVersionMinor;
  const lines = [`${request.method} ${request.url} ${version} way ${way} length ${length}`];
  lines.push(`client ${socket.remoteAddress}:${socket.remotePort}`);
  for (let at = 0; at < request.rawHeaders.length; at += 2) lines.push(request.rawHeaders.slice(at, at + 2).join(': '));
  response.end(`${lines.join('\n')}\n`);
}

const greet = (response) => response.end(`${values.label} ${process.pid}\n`);

const server = ostler.createServer((request, response) => {
  const path = request.url.split('?')[0];
  const [, first, last] = path.split('/');
  const number = Number(last);
  if (first === 'about') about(request, response);
  else if (first === 'echo') request.pipe(response);
  else if (first === 'upload') upload(request, response);
  else if (first === 'bytes') {
    response.setHeader('Content-Length', number);
    response.on('close', () => response.writableEnded || console.log('gone'));
    generate(response, number, () => response.end());
  } else if (first === 'stream') {
    response.setHeader('Trailer', 'x-sum');
    generate(response, number, () => {
      response.addTrailers({ 'x-sum': 'none' });
      response.end();
    });
  } else if (first === 'break') {
    response.setHeader('Content-Length', number + 1);
    generate(response, number, () => response.destroy());
  } else if (first === 'delay') setTimeout(() => greet(response), number);
  else if (first === 'file') {
    const file = fs.openSync(values.file);
    ostler.sendFile(response, file);
    fs.closeSync(file);
  } else if (first === 'line') response.writeHead(426).end();
  else greet(response);
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: line\r\n\r\n');
  socket.pipe(socket);
});
server.listen({ queue: values.queue, label: values.label }, () => console.log(`queue ${values.queue} ready`));
process.on('SIGTERM', () => server.close());
