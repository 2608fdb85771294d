// Compiled, not run.
import { createServer, sendFile } from 'ostler';
import { open } from 'node:fs/promises';
import type { Server } from 'node:http';

const server: Server = createServer((request, response) => {
  response.setHeader('X-Way', request.method ?? '');
  open('film.mp4').then((file) => sendFile(response, file, { start: 10, end: 20 }));
}).listen({ queue: 'shop', urlPrefix: 'http://*:80/', mode: 'create-or-attach', limit: 10 }, () => {});
server.close();
createServer().listen(8080, '127.0.0.1');
// @ts-expect-error a response is answered with a file
sendFile(server, 3);
