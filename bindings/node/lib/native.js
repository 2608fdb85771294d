'use strict';

// The native half, and the numbers that cross its border. `../build` puts it beside this file.

const { Queue } = require('./ostler.node');

module.exports = {
  Queue,
  Kind: { REQUEST: 1, READABLE: 2, WRITABLE: 3, ENDED_WHOLE: 4, ENDED_EARLY: 5, STOPPED: 6, FAILED: 7 },
  Flag: { WANTS_UPGRADE: 1, HAS_BODY: 2, ENCRYPTED: 4, HTTP_1_0: 8, RELAYED: 16, STREAMED: 32 },
  NOTHING: Buffer.alloc(0),
};
