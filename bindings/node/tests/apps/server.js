'use strict';

// What Node's own documentation says of its server, asked of one.

const http = require('node:http');

const server = http.createServer({ joinDuplicateHeaders: true }, (request, response) => {
  const { pathname } = new URL(request.url, 'http://x');
  const say = (value) => response.end(`${JSON.stringify(value)}\n`);
  switch (pathname) {
    case '/headers':
      say({ headers: request.headers, distinct: request.headersDistinct, trailers: request.trailers, upgrade: request.upgrade });
      break;
    case '/facts':
      say({ version: request.httpVersion, complete: request.complete, same: request.socket === request.connection,
        address: request.socket.remoteAddress, family: request.socket.remoteFamily, encrypted: request.socket.encrypted ?? false });
      break;
    case '/array': response.writeHead(200, 'Fine', ['X-A', '1', 'X-A', '2']); say(response.headersSent); break;
    case '/object': response.writeHead(200, { 'X-A': ['1', '2'], 'Content-Type': 'text/plain' }); response.end('object'); break;
    case '/both': response.setHeader('X-A', '1'); response.writeHead(203, { 'X-B': '2' }); response.end('both'); break;
    case '/flush': response.flushHeaders(); setTimeout(() => response.end('flushed'), 20); break;
    case '/twice':
      response.end('once');
      try { response.setHeader('X-Late', '1'); } catch (error) { console.log(error.code); }
      response.on('error', (error) => console.log(error.code));
      response.write('twice');
      break;
    case '/invalid':
      try { response.setHeader('X-A', 'a\nb'); } catch (error) { say(error.code); }
      break;
    case '/none': response.writeHead(204); response.end(); break;
    case '/unchanged': response.writeHead(304, { ETag: '"1"' }); response.end(); break;
    case '/length': response.setHeader('Content-Length', 4); response.write('le'); response.end('ng'); break;
    case '/close': response.setHeader('Connection', 'close'); response.end('closing'); break;
    case '/nothing': request.resume(); response.end(); break;
    case '/events': {
      const seen = [];
      for (const name of ['prefinish', 'finish', 'close']) response.on(name, () => seen.push(name));
      request.on('close', () => seen.push('request close'));
      request.resume();
      response.on('close', () => setImmediate(() => console.log(JSON.stringify(seen), response.writableFinished, response.destroyed)));
      response.end('events');
      break;
    }
    case '/drain': {
      let waits = 0;
      let left = 4000;
      const piece = Buffer.alloc(16 * 1024, 'x');
      const goOn = () => {
        while (left > 0) {
          left -= 1;
          if (!response.write(piece) && left > 0) {
            waits += 1;
            response.once('drain', goOn);
            return;
          }
        }
        response.end();
        console.log('waited', waits > 0, response.writableNeedDrain);
      };
      goOn();
      break;
    }
    case '/waits':
      request.on('aborted', () => console.log('aborted'));
      request.on('error', (error) => console.log('request', error.code));
      response.on('close', () => console.log('closed', response.writableFinished, response.destroyed));
      console.log('waiting');
      break;
    case '/timeout':
      response.setTimeout(50, () => response.end('timed out'));
      break;
    case '/throws': request.destroy(); break;
    default:
      response.statusCode = 404;
      response.end();
  }
});
server.on('checkContinue', (request, response) => {
  if (request.headers['x-refuse']) {
    response.writeHead(403, { Connection: 'close' });
    response.end('refused');
    return;
  }
  response.writeContinue();
  request.on('data', (piece) => response.write(piece)).on('end', () => response.end());
});
server.listen(process.env.PORT ?? 3000, '127.0.0.1', () => console.log('ready', JSON.stringify(server.address()), server.listening));
server.on('close', () => console.log('server closed'));
process.on('SIGTERM', () => server.close());
