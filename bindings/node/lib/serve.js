'use strict';

// Has an HTTP server of Node's serve a request queue where it would listen.

const { Exchange } = require('./exchange.js');
const { Kind, Queue } = require('./native.js');

/** Where a server keeps what serves its queue. */
const SERVED = Symbol.for('ostler.served');

/** A server and the queue that it serves. */
class Served {
  #server;
  #native;
  #exchanges = new Map();
  #stopped = false;
  #alive;

  constructor(server, options) {
    this.#server = server;
    this.#native = new Queue(options);
    this.#native.serve(() => this.#take());
    // Keeps the process alive, as a listening socket does.
    this.#alive = setInterval(() => {}, 2 ** 30);
    process.once('exit', this.#leave);
  }

  #leave = () => this.#native.destroy();

  // What `net.Server` calls of its handle.

  /** The server is closed: what it was given it answers. */
  close() {
    this.#native.stop();
  }

  ref() { this.#alive.ref(); }
  unref() { this.#alive.unref(); }
  hasRef() { return this.#alive.hasRef(); }

  #take() {
    let taken;
    do {
      taken = this.#native.take();
      for (let at = 0; at < taken.length; at += 3) this.#handle(taken[at], taken[at + 1], taken[at + 2]);
    } while (taken.length === 3 * 64);
  }

  #handle(kind, id, text) {
    if (kind === Kind.REQUEST) {
      this.#begin(id, text);
      return;
    }
    if (kind === Kind.STOPPED || kind === Kind.FAILED) {
      this.#stop(kind === Kind.FAILED);
      return;
    }
    const exchange = this.#exchanges.get(id);
    if (exchange === undefined) return;
    if (kind === Kind.READABLE) exchange.readable();
    else if (kind === Kind.WRITABLE) exchange.writable();
    else exchange.ended(kind === Kind.ENDED_WHOLE);
  }

  #begin(id, text) {
    const exchange = new Exchange(this.#server, this.#native, id, text);
    this.#exchanges.set(id, exchange);
    this.#server._connections += 1;
    exchange.serve();
  }

  /** An exchange is over. */
  forget(exchange) {
    if (this.#exchanges.get(exchange.id) !== exchange) return;
    this.#exchanges.delete(exchange.id);
    this.#server._connections -= 1;
    this.#release();
  }

  /** Ends what is under way. */
  closeAll() {
    for (const exchange of [...this.#exchanges.values()]) exchange.socket.destroy();
  }

  #stop(failed) {
    this.#stopped = true;
    this.#server._connections -= 1;
    if (failed) this.#server.emit('error', new Error('the request queue cannot be served any more'));
    this.#release();
  }

  /** Switched connections outlive the server; with the last of them the queue goes. */
  #release() {
    if (this.#stopped && this.#exchanges.size === 0) {
      clearInterval(this.#alive);
      process.removeListener('exit', this.#leave);
      this.#native.destroy();
    }
    if (this.#server._handle === null) this.#server._emitCloseIfDrained();
  }
}

/** Has a server serve a queue. Errors come as they do of `listen`. */
function serve(server, options, callback) {
  if (server._handle) {
    const error = new Error('Listen method has been called more than once without closing.');
    error.code = 'ERR_SERVER_ALREADY_LISTEN';
    throw error;
  }
  if (typeof callback === 'function') server.once('listening', callback);
  let served;
  try {
    served = new Served(server, options);
  } catch (error) {
    error.code = 'ERR_OSTLER_QUEUE';
    process.nextTick(() => server.emit('error', error));
    return server;
  }
  server[SERVED] = served;
  server._handle = served;
  server._connections ??= 0;
  // Until the queue has stopped the server is not closed.
  server._connections += 1;
  // As of a socket in the file system: a text, so that a program which wants a port finds none, and goes on.
  server._pipeName = `ostler:${options.queue}`;
  server.closeAllConnections = () => served.closeAll();
  process.nextTick(() => {
    if (server._handle === served) server.emit('listening');
  });
  return server;
}

module.exports = { serve };
