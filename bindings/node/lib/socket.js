'use strict';

// What applications find where a connection's socket would be. The client's socket itself is the target library's, which
// frames and sends; of it an application sees addresses, its end, and, once a protocol was switched, its bytes.

const { Duplex } = require('node:stream');

class ExchangeSocket extends Duplex {
  #idle = null;
  #idleAfter = 0;

  /** `exchange` is told when the application destroys this. */
  constructor(exchange, facts) {
    super({ allowHalfOpen: true, emitClose: true });
    this.exchange = exchange;
    this.facts = facts;
    this._httpMessage = null;
    // Streams ask for it: an HTTP socket whose parser was taken away has none either.
    this.parser = null;
  }

  get remoteAddress() { return this.facts.remoteAddress; }
  get remotePort() { return this.facts.remotePort; }
  get remoteFamily() { return family(this.facts.remoteAddress); }
  get localAddress() { return this.facts.localAddress; }
  get localPort() { return this.facts.localPort; }
  get localFamily() { return family(this.facts.localAddress); }
  get encrypted() { return this.facts.encrypted ? true : undefined; }
  get servername() { return this.facts.serverName || undefined; }
  /** How the request came: `delegated`, over the client's own socket; `streamed` or `relayed` by the front. */
  get arrival() { return this.facts.arrival; }
  get connecting() { return false; }
  get pending() { return false; }
  get readyState() { return this.destroyed ? 'closed' : 'open'; }
  get timeout() { return this.#idleAfter || undefined; }

  address() {
    return { address: this.localAddress, family: this.localFamily, port: this.localPort };
  }

  // What these ask of a connection is the front's and the library's.
  setNoDelay() { return this; }
  setKeepAlive() { return this; }
  ref() { return this; }
  unref() { return this; }

  destroySoon() {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  setTimeout(milliseconds, callback) {
    if (callback) {
      if (milliseconds === 0) this.removeListener('timeout', callback);
      else this.once('timeout', callback);
    }
    this.#idleAfter = milliseconds;
    clearTimeout(this.#idle);
    this.#idle = null;
    if (milliseconds > 0 && !this.destroyed) {
      this.#idle = setTimeout(() => this.emit('timeout'), milliseconds).unref();
    }
    return this;
  }

  /** Something was read or written. */
  touch() {
    if (this.#idle !== null) this.#idle.refresh();
  }

  _read() {
    this.exchange.readSocket();
  }

  _write(chunk, encoding, callback) {
    this.exchange.writeSocket(chunk, callback);
  }

  _final(callback) {
    this.exchange.endSocket(callback);
  }

  _destroy(error, callback) {
    clearTimeout(this.#idle);
    this.exchange.socketDestroyed();
    callback(error);
  }
}

function family(address) {
  if (!address) return undefined;
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

module.exports = { ExchangeSocket };
