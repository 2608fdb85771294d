import Fastify from 'fastify';

const app = Fastify({ forceCloseConnections: 'idle' });
app.get('/json', async (request) => ({ query: request.query, ip: request.ip }));
app.post('/json', async (request, reply) => reply.code(201).send(request.body));
app.get('/stream', (request, reply) => {
  const pieces = (async function* () { for (const line of ['one\n', 'two\n', 'three\n']) yield line; })();
  reply.type('text/plain').send(ReadableStream.from(pieces));
});
app.get('/cookies', (request, reply) => reply.header('set-cookie', ['a=1', 'b=2']).redirect('/json'));
app.get('/error', async () => { throw new Error('on purpose'); });
app.get('/schema', { schema: { querystring: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } } },
  async (request) => ({ n: request.query.n }));
await app.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1' });
console.log('ready', JSON.stringify(app.server.address()));
process.on('SIGTERM', () => app.close());
