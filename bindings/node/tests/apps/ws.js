'use strict';

const http = require('node:http');
const { WebSocketServer } = require('ws');

const server = http.createServer((request, response) => response.end('plain\n'));
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: true,
  verifyClient: ({ req }) => req.url !== '/forbidden',
});
sockets.on('connection', (socket, request) => {
  socket.send(`hello ${request.socket.remoteAddress} ${request.url}`);
  socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
  socket.on('close', (code) => console.log('closed', code));
});
server.listen(process.env.PORT ?? 3000, '127.0.0.1', () => console.log('ready', JSON.stringify(server.address())));
process.on('SIGTERM', () => {
  server.close();
  for (const socket of sockets.clients) socket.close(1001);
});
