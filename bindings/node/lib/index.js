'use strict';

// Node's HTTP servers behind an Ostler request queue.

const http = require('node:http');
const { serve } = require('./serve.js');

/** `http.createServer`, whose `listen` takes a queue too. */
function createServer(...given) {
  const server = http.createServer(...given);
  server.listen = listen;
  return server;
}

function listen(options, ...rest) {
  if (options === null || typeof options !== 'object' || typeof options.queue !== 'string') {
    return http.Server.prototype.listen.call(this, options, ...rest);
  }
  return serve(this, queueOptions(options), rest.at(-1));
}

function queueOptions({ urlPrefix, urlPrefixes, ...others }) {
  const prefixes = urlPrefixes ?? (urlPrefix === undefined ? undefined : [urlPrefix]);
  return { ...others, urlPrefixes: prefixes };
}

/**
 * Answers with a file, which the kernel sends where it can; `Range` is done by the library. `file` is what
 * `fs.open` gives, and may be closed when this returns.
 */
function sendFile(response, file, { start = 0, end } = {}) {
  const descriptor = typeof file === 'number' ? file : file.fd;
  const answer = response.exchange?.answer;
  if (answer === undefined) throw new TypeError('the response is not to a request of a queue');
  if (answer.isBegun) throw new Error('the response has been begun already');
  let part = null;
  if (end !== undefined) part = [start, end - start];
  else if (start > 0) part = [start];
  answer.sendFile(descriptor, part);
}

module.exports = { createServer, listen, sendFile };
