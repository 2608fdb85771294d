'use strict';

// Errors as Node's own HTTP server has them, of the native half's numbers.

const KNOWN = {
  '-3': ['ERR_OSTLER_STATE', 'this cannot be done now, or not any more'],
  '-5': ['ECONNRESET', 'aborted'],
  '-9': ['HPE_INVALID_CHUNK_SIZE', 'Parse Error: the body is malformed'],
  '-10': ['ERR_OSTLER_BODY_TOO_LARGE', 'the body is larger than the front allows'],
  '-11': ['ERR_HTTP_REQUEST_TIMEOUT', 'Request timeout'],
};

/** The error that a negative number of the native half stands for. */
function errorOf(number) {
  const [code, text] = KNOWN[number] ?? ['ERR_OSTLER', `the target library's error ${number}`];
  const error = new Error(text);
  error.code = code;
  return error;
}

/** What Node says to a request whose client is gone. */
const aborted = () => errorOf(-5);

module.exports = { errorOf, aborted };
