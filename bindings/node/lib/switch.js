'use strict';

// A request that asks for another protocol, as Node's `upgrade` event has it: the application writes a response's head to the
// socket itself, then the bytes of its protocol.

const { errorOf } = require('./errors.js');
const { textOf } = require('./response.js');

/** Most bytes of a head. */
const LONGEST_HEAD = 64 * 1024;

class Switch {
  #exchange;
  /** What was written of the head so far; null once it is whole. */
  #head = [];
  #status = 0;
  #waiting = null;
  #wantsInput = false;

  constructor(exchange) {
    this.#exchange = exchange;
  }

  get #native() { return this.#exchange.native; }
  get #id() { return this.#exchange.id; }
  get #socket() { return this.#exchange.socket; }

  write(chunk, callback) {
    this.#socket.touch();
    let bytes = chunk;
    if (this.#head !== null) {
      this.#head.push(chunk);
      const all = Buffer.concat(this.#head);
      const end = all.indexOf('\r\n\r\n');
      if (end < 0) {
        callback(all.length > LONGEST_HEAD ? errorOf(-3) : null);
        return;
      }
      const error = this.#begin(all.latin1Slice(0, end));
      if (error) {
        callback(error);
        return;
      }
      bytes = all.subarray(end + 4);
    }
    if (bytes.length === 0) {
      callback();
      return;
    }
    const room = this.#native.write(this.#id, bytes);
    if (room < 0) callback(errorOf(room));
    else if (room === 1) callback();
    else this.#waiting = callback;
  }

  /** The head is whole: the target library sends it as it sends all others. */
  #begin(text) {
    this.#head = null;
    const [line, ...lines] = text.split('\r\n');
    const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(line);
    const fields = [];
    for (const field of lines) {
      const colon = field.indexOf(':');
      if (colon < 1) return new Error(`the application's response has a line that is no field: ${field}`);
      fields.push(field.slice(0, colon), field.slice(colon + 1).trim());
    }
    if (status === null) return new Error(`the application's response begins with ${line}`);
    this.#status = Number(status[1]);
    try {
      const started = this.#native.start(this.#id, this.#status, textOf(fields));
      if (started < 0) return errorOf(started);
    } catch (error) {
      return error;
    }
    if (this.#wantsInput) this.read();
    return null;
  }

  writable() {
    const callback = this.#waiting;
    this.#waiting = null;
    callback?.();
  }

  end(callback) {
    if (this.#head === null) this.#native.end(this.#id, Buffer.alloc(0));
    callback();
  }

  read() {
    this.#wantsInput = true;
    // Without a switch nothing of the connection is the application's.
    if (this.#status === 101) this.#readAll();
  }

  readable() {
    if (this.#wantsInput) this.#readAll();
  }

  #readAll() {
    while (this.#wantsInput) {
      const piece = this.#native.read(this.#id);
      if (piece === undefined) return;
      this.#socket.touch();
      if (piece === null) {
        this.#wantsInput = false;
        this.#socket.push(null);
      } else if (typeof piece === 'number') {
        this.#wantsInput = false;
        this.#socket.destroy(errorOf(piece));
      } else if (!this.#socket.push(piece)) {
        this.#wantsInput = false;
      }
    }
  }
}

module.exports = { Switch };
