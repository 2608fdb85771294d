'use strict';

// Node's ServerResponse on a target's exchange. What an application calls is Node's own code; where that would make
// HTTP's text of a response, what it would make it of goes to the target library instead.
//
// The methods are put on each response, not on a class of our own: frameworks (express) give a response another prototype.

const http = require('node:http');
const { errorOf } = require('./errors.js');
const { NOTHING } = require('./native.js');

/** Bytes that wait for more of the same turn before they are given away. */
const MOST_PENDING = 64 * 1024;

const symbols = new Map();

/** One of Node's own properties, by its description. */
function symbolOf(object, description) {
  if (!symbols.has(description)) {
    const found = Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
    symbols.set(description, found);
  }
  return symbols.get(description);
}

/** Makes the response to a request. */
function responseTo(request, exchange, server) {
  const response = new http.ServerResponse(request, {
    highWaterMark: exchange.socket.writableHighWaterMark,
    rejectNonStandardBodyWrites: server.rejectNonStandardBodyWrites,
  });
  response.exchange = exchange;
  response._keepAliveTimeout = 0;
  response._storeHeader = storeHeader;
  response._send = send;
  response.addTrailers = addTrailers;
  response.writeContinue = writeContinue;
  // The library has no other interim responses.
  response.writeProcessing = writeInterim;
  response.writeEarlyHints = writeInterim;
  exchange.answer = new Answer(exchange, response);
  response.on('prefinish', finish);
  response.assignSocket(exchange.socket);
  return response;
}

/** What Node does with a head once all of it is known. */
function storeHeader(statusLine, headers) {
  const fields = [];
  const names = this.getRawHeaderNames();
  if (names.length > 0) {
    for (const name of names) addField(fields, name, this.getHeader(name));
  } else if (Array.isArray(headers)) {
    if (headers.length > 0 && Array.isArray(headers[0])) {
      for (const [name, value] of headers) addField(fields, name, value);
    } else {
      for (let at = 0; at < headers.length; at += 2) addField(fields, headers[at], headers[at + 1]);
    }
  } else if (headers) {
    for (const name of Object.keys(headers)) addField(fields, name, headers[name]);
  }
  this.exchange.answer.begin(this.statusCode, fields);
  // Node takes any text for the head, and this for its having been sent; the library frames the body.
  this._header = statusLine;
  this._headerSent = true;
  this.chunkedEncoding = false;
}

function addField(fields, name, value) {
  http.validateHeaderName(name);
  if (Array.isArray(value)) {
    if (name.toLowerCase() === 'cookie') return addField(fields, name, value.join('; '));
    for (const one of value) addField(fields, name, one);
    return undefined;
  }
  http.validateHeaderValue(name, value);
  fields.push(name, value);
  return undefined;
}

/** What Node does with a piece of the body. */
function send(data, encoding, callback) {
  if (typeof encoding === 'function') [encoding, callback] = [null, encoding];
  if (this.socket?.destroyed) return false;
  const room = this.exchange.answer.write(data, encoding);
  if (typeof callback === 'function') process.nextTick(callback);
  return room;
}

function addTrailers(headers) {
  const fields = [];
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers);
  for (const [name, value] of pairs) addField(fields, name, value);
  this.exchange.answer.trailers = fields;
}

/** The library says it when the body is read. */
function writeContinue(callback) {
  this._sent100 = true;
  if (typeof callback === 'function') process.nextTick(callback);
}

function writeInterim(...given) {
  const callback = given.at(-1);
  if (typeof callback === 'function') process.nextTick(callback);
}

function finish() {
  this.exchange.answer.end();
}

/** A response on its way to the library. Gathers what one turn of the program gives, so that it goes in one call. */
class Answer {
  trailers = null;
  #exchange;
  #response;
  #status = 0;
  #fields = null;
  #pieces = [];
  #pending = 0;
  #scheduled = false;
  #started = false;
  #ended = false;
  #room = true;

  constructor(exchange, response) {
    this.#exchange = exchange;
    this.#response = response;
  }

  get isBegun() { return this.#fields !== null; }

  begin(status, fields) {
    this.#status = status;
    this.#fields = fields;
  }

  /** Takes a piece of the body; whether more may follow at once. */
  write(data, encoding) {
    const piece = typeof data === 'string' ? Buffer.from(data, encoding || 'utf8') : data;
    if (piece.length > 0) {
      this.#pieces.push(piece);
      this.#pending += piece.length;
    }
    if (this.#pending >= MOST_PENDING) this.#flush();
    else this.#schedule();
    return this.#room;
  }

  end() {
    this.#ended = true;
    // Whole, it goes in one call.
    if (!this.#started && this.trailers === null) {
      this.#check(() => this.#exchange.native.send(this.#exchange.id, this.#status, this.#head(), this.#gathered()));
      return;
    }
    this.#flush();
    const trailers = this.trailers === null ? NOTHING : textOf(this.trailers);
    this.#check(() => this.#exchange.native.end(this.#exchange.id, trailers));
  }

  /** The client has taken what waited. */
  drained() {
    this.#room = true;
    const response = this.#response;
    const needDrain = symbolOf(response, 'kNeedDrain');
    if (this.#ended || !response[needDrain]) return;
    response[needDrain] = false;
    response.emit('drain');
  }

  /** Gives a file in place of a body. */
  sendFile(descriptor, part) {
    const response = this.#response;
    if (!response.headersSent) response.writeHead(response.statusCode);
    this.#ended = true;
    this.#started = true;
    this.#check(() => this.#exchange.native.sendFile(this.#exchange.id, this.#status, this.#head(), descriptor, part));
    response.removeListener('prefinish', finish);
    response.end();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      if (!this.#ended) this.#flush();
    });
  }

  #flush() {
    const { native, id } = this.#exchange;
    if (!this.#started) {
      this.#started = true;
      this.#check(() => native.start(id, this.#status, this.#head()));
    }
    if (this.#pending === 0) return;
    const room = native.write(id, this.#gathered());
    if (room < 0) this.#exchange.lost();
    this.#room = room === 1;
    this.#exchange.socket.touch();
  }

  #head() {
    return textOf(this.#fields);
  }

  #gathered() {
    const bytes = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#pending = 0;
    return bytes;
  }

  /** What cannot be sent ends the exchange, as a connection's error does. */
  #check(call) {
    let result;
    try {
      result = call();
    } catch (error) {
      this.#exchange.socket.destroy(error);
      return;
    }
    if (result === -5) this.#exchange.lost();
    else if (result < 0) this.#exchange.socket.destroy(errorOf(result));
  }
}

/** Names and values as the native half has them. */
function textOf(fields) {
  return fields.length === 0 ? NOTHING : Buffer.from(fields.join('\n'), 'latin1');
}

module.exports = { responseTo, textOf };
