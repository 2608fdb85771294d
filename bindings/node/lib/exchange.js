'use strict';

// One request and its answer: Node's IncomingMessage and ServerResponse over an exchange of the target library's.

const http = require('node:http');
const { aborted, errorOf } = require('./errors.js');
const { Flag } = require('./native.js');
const { responseTo } = require('./response.js');
const { ExchangeSocket } = require('./socket.js');
const { Switch } = require('./switch.js');

class Exchange {
  answer = null;
  request = null;
  response = null;
  #server;
  #switch = null;
  #reading = false;
  #inputEnded = false;
  #over = false;

  constructor(server, native, id, text) {
    this.#server = server;
    this.native = native;
    this.id = id;
    const parts = text.split('\n');
    const [flags, method, target, remoteAddress, remotePort, localAddress, localPort, serverName] = parts;
    this.flags = Number(flags);
    this.socket = new ExchangeSocket(this, {
      remoteAddress: remoteAddress || undefined,
      remotePort: remotePort ? Number(remotePort) : undefined,
      localAddress: localAddress || undefined,
      localPort: localPort ? Number(localPort) : undefined,
      encrypted: this.#has(Flag.ENCRYPTED),
      serverName,
      arrival: this.#arrival(),
    });
    // Nobody has to listen for a client's going.
    this.socket.on('error', () => {});
    this.socket.on('timeout', () => this.#timedOut());
    if (server.timeout > 0) this.socket.setTimeout(server.timeout);
    this.request = this.#incoming(method, target, parts.slice(8));
  }

  /** Whether its bytes are the application's own by now. */
  get isSwitched() { return this.#switch !== null; }

  /** Gives the request to the application. */
  serve() {
    const { request } = this;
    const server = this.#server;
    if (this.#has(Flag.WANTS_UPGRADE) && server.listenerCount('upgrade') > 0) {
      request.upgrade = true;
      this.#switch = new Switch(this);
      server.emit('upgrade', request, this.socket, Buffer.alloc(0));
      return;
    }
    request.upgrade = false;
    this.response = responseTo(request, this, server);
    this.response.on('finish', () => this.#finished());
    const { expect } = request.headers;
    if (expect === undefined) server.emit('request', request, this.response);
    else this.#serveExpecting(expect);
    // As Node does: not before the application has seen it.
    if (!this.#has(Flag.HAS_BODY)) this.#endInput();
  }

  /** As Node does where a client expects something. */
  #serveExpecting(expect) {
    const server = this.#server;
    const { request, response } = this;
    if (/(?:^|\W)100-continue(?:$|\W)/i.test(expect)) {
      response._expect_continue = true;
      if (server.listenerCount('checkContinue') > 0) {
        server.emit('checkContinue', request, response);
        return;
      }
      response.writeContinue();
      server.emit('request', request, response);
    } else if (server.listenerCount('checkExpectation') > 0) {
      server.emit('checkExpectation', request, response);
    } else {
      response.writeHead(417);
      response.end();
    }
  }

  #has(flag) { return (this.flags & flag) !== 0; }

  /** How the request came. */
  #arrival() {
    if (this.#has(Flag.STREAMED)) return 'streamed';
    return this.#has(Flag.RELAYED) ? 'relayed' : 'delegated';
  }

  #incoming(method, target, rawHeaders) {
    const request = new http.IncomingMessage(this.socket);
    const minor = this.#has(Flag.HTTP_1_0) ? 0 : 1;
    request.httpVersionMajor = 1;
    request.httpVersionMinor = minor;
    request.httpVersion = `1.${minor}`;
    request.method = method;
    request.url = target;
    request.joinDuplicateHeaders = this.#server.joinDuplicateHeaders;
    request._addHeaderLines(rawHeaders, rawHeaders.length);
    // On the request, since frameworks give it another prototype.
    request._read = () => {
      request._consuming = true;
      request._readableState.readingMore = false;
      this.#reading = true;
      this.#readBody();
    };
    return request;
  }

  /** There may be bytes to read. */
  readable() {
    if (this.#switch !== null) this.#switch.readable();
    else if (this.#reading) this.#readBody();
  }

  writable() {
    if (this.#switch !== null) this.#switch.writable();
    else this.answer?.drained();
  }

  #readBody() {
    const { request } = this;
    if (!this.#has(Flag.HAS_BODY)) return;
    while (this.#reading && !this.#inputEnded) {
      const piece = this.native.read(this.id);
      if (piece === undefined) return;
      this.socket.touch();
      if (piece === null) {
        this.#endInput();
      } else if (typeof piece === 'number') {
        this.#inputEnded = true;
        if (piece === -5) this.lost();
        else this.#refused(piece);
      } else if (!request._dumped && !request.push(piece)) {
        this.#reading = false;
      }
    }
  }

  #endInput() {
    if (this.#inputEnded) return;
    this.#inputEnded = true;
    const { request } = this;
    request.complete = true;
    if (this.#has(Flag.HAS_BODY)) {
      const trailers = this.native.trailers(this.id).latin1Slice();
      const raw = trailers === '' ? [] : trailers.split('\n');
      request._addHeaderLines(raw, raw.length);
    }
    if (!request.destroyed) request.push(null);
  }

  /** The client has sent what is no body: the library knows how to answer that. */
  #refused(number) {
    this.request.destroy(errorOf(number));
  }

  /** The whole response is with the library. */
  #finished() {
    const { request, response } = this;
    if (!request._consuming && !request._readableState.resumeScheduled) {
      // What nobody wants the library reads, or not.
      this.#inputEnded = true;
      request._dumped = true;
      if (!request.complete) request.push(null);
      request.resume();
    }
    response.detachSocket(this.socket);
    process.nextTick(() => {
      if (response._closed) return;
      response.destroyed = true;
      response._closed = true;
      response.emit('close');
    });
  }

  /** Nothing went either way for as long as somebody has allowed. */
  #timedOut() {
    const { request, response, socket } = this;
    const told = [
      !request.complete && request.emit('timeout', socket),
      response?.emit('timeout', socket),
      this.#server.emit('timeout', socket),
    ];
    if (!told.includes(true) && !this.isSwitched) socket.destroy();
  }

  /** The client is gone, or the exchange was over before its answer was. */
  lost() {
    if (this.#over) return;
    const { request } = this;
    if (!this.isSwitched && !(request.readableEnded && request.complete)) request.destroy(aborted());
    this.socket.destroy();
  }

  /** The library has let go of it. */
  ended(whole) {
    if (!whole && !this.response?.writableEnded) this.lost();
    this.#letGo();
  }

  socketDestroyed() {
    this.#letGo();
  }

  /** What was not ended is cancelled by this. */
  #letGo() {
    if (this.#over) return;
    this.#over = true;
    this.native.close(this.id);
    this.#server[Symbol.for('ostler.served')]?.forget(this);
    if (!this.socket.destroyed) this.socket.destroy();
  }

  readSocket() { this.#switch?.read(); }

  writeSocket(chunk, callback) {
    if (this.#switch !== null) this.#switch.write(chunk, callback);
    else callback(errorOf(-3));
  }

  endSocket(callback) {
    if (this.#switch !== null) this.#switch.end(callback);
    else callback();
  }
}

module.exports = { Exchange };
