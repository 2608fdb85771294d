'use strict';

const { Readable } = require('node:stream');
const Koa = require('koa');

const app = new Koa();
app.silent = true;
app.use(async (context) => {
  switch (context.path) {
    case '/json':
      if (context.method === 'POST') {
        let text = '';
        for await (const piece of context.req) text += piece;
        context.status = 201;
        context.body = JSON.parse(text);
      } else context.body = { query: context.query, ip: context.ip };
      break;
    case '/stream': context.body = Readable.from(['one\n', 'two\n', 'three\n']); break;
    case '/cookies':
      context.cookies.set('a', '1');
      context.cookies.set('b', '2');
      context.redirect('/json');
      break;
    case '/error': throw new Error('on purpose');
    case '/empty': context.status = 204; break;
    default:
  }
});
const server = app.listen(process.env.PORT ?? 3000, '127.0.0.1', () => console.log('ready', JSON.stringify(server.address())));
process.on('SIGTERM', () => server.close());
