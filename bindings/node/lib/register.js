'use strict';

// `NODE_OPTIONS="--import ostler/register"`: the first HTTP server that listens serves the queue `$OSTLER_QUEUE` instead.

const http = require('node:http');
const https = require('node:https');
const { serve } = require('./serve.js');

const queue = process.env.OSTLER_QUEUE;
if (queue) {
  for (const { Server } of [http, https]) {
    const inherited = Server.prototype.listen;
    Server.prototype.listen = function listen(...given) {
      if (taken) return inherited.apply(this, given);
      taken = true;
      const callback = given.at(-1);
      return serve(this, { queue, urlPrefixes: prefixes() }, typeof callback === 'function' ? callback : undefined);
    };
  }
}

var taken = false;

/** Prefixes stand one after the other, divided by spaces. */
function prefixes() {
  const all = (process.env.OSTLER_URL_PREFIX ?? '').split(' ').filter((prefix) => prefix !== '');
  return all.length === 0 ? undefined : all;
}
