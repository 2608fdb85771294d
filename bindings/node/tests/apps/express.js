'use strict';

const path = require('node:path');
const express = require('express');

const app = express();
app.get('/json', (request, response) => response.json({ query: request.query, ip: request.ip, secure: request.secure }));
app.post('/json', express.json(), (request, response) => response.status(201).json(request.body));
app.post('/form', express.urlencoded({ extended: false }), (request, response) => response.send(request.body));
app.post('/raw', express.raw({ type: () => true, limit: '50mb' }), (request, response) => {
  response.send(`${request.body.length}`);
});
app.get('/file', (request, response) => response.sendFile(path.join(__dirname, '..', 'apps', 'express.js')));
app.get('/cookies', (request, response) => {
  response.cookie('a', '1').cookie('b', '2', { httpOnly: true }).redirect('/json');
});
app.get('/stream', (request, response) => {
  response.type('text/plain');
  let count = 0;
  const timer = setInterval(() => {
    response.write(`line ${count}\n`);
    count += 1;
    if (count === 3) {
      clearInterval(timer);
      response.end();
    }
  }, 5);
});
app.get('/error', () => { throw new Error('on purpose'); });
app.get('/latin', (request, response) => response.set('X-Latin', 'caf\u00e9').send('caf\u00e9'));
app.set('env', 'test');
const server = app.listen(process.env.PORT ?? 3000, '127.0.0.1', () => console.log('ready', JSON.stringify(server.address())));
process.on('SIGTERM', () => server.close());
