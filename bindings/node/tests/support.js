'use strict';

// Real fronts and real programs, in a folder of their own.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');

const PATIENCE = 30_000;
const OSTLER = process.env.OSTLER_BIN ?? path.join(__dirname, '../../../target/debug/ostler');

/** A process, and the lines it says. */
class Program {
  lines = [];
  errors = '';
  #waiting = [];

  constructor(command, given, environment) {
    this.process = spawn(command, given, {
      cwd: __dirname,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let rest = '';
    this.process.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      this.lines.push(...lines);
      this.#look();
    });
    this.process.stderr.setEncoding('utf8').on('data', (text) => { this.errors += text; });
    this.ended = new Promise((resolve) => { this.process.on('close', (code, signal) => resolve(code ?? signal)); });
  }

  /** Waits for a line that begins so. */
  line(beginning) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no line begins with ${beginning}: ${JSON.stringify(this.lines)}; ${this.errors}`));
      }, PATIENCE);
      this.#waiting.push({ beginning, resolve, timer });
      this.#look();
    });
  }

  #look() {
    this.#waiting = this.#waiting.filter(({ beginning, resolve, timer }) => {
      const found = this.lines.find((line) => line.startsWith(beginning));
      if (found === undefined) return true;
      clearTimeout(timer);
      resolve(found);
      return false;
    });
  }

  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    return this.ended;
  }
}

/** A folder with a front, and what runs behind it; gone when the test is. */
class Sandbox {
  #programs = [];

  constructor(test) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ostler-node-'));
    test.after(async () => {
      for (const program of this.#programs) await program.stop('SIGKILL');
      fs.rmSync(this.folder, { recursive: true });
    });
  }

  start(command, given, environment = {}) {
    const program = new Program(command, given, { OSTLER_RUNTIME_DIR: path.join(this.folder, 'run'), ...environment });
    this.#programs.push(program);
    return program;
  }

  /** Node with an application that knows nothing of queues, serving one all the same. */
  async registered(app, queue = 'q') {
    const environment = { OSTLER_QUEUE: queue, NODE_OPTIONS: '--import ostler/register' };
    const program = this.start(process.execPath, [path.join('apps', app)], environment);
    await program.line('ready');
    return program;
  }

  /** The same application, listening; and its port. */
  async listening(app) {
    const program = this.start(process.execPath, [path.join('apps', app)], { PORT: '0' });
    const line = await program.line('ready');
    return { program, port: JSON.parse(line.slice(6).replace(/ (true|false)$/, '')).port };
  }

  /** A front before the queue `q`; and its port. */
  async front() {
    const configuration = path.join(this.folder, 'ostler.json');
    const destination = { Address: 'http://*:80/', Metadata: { HttpSysDelegationQueue: 'q' } };
    fs.writeFileSync(configuration, JSON.stringify({
      ReverseProxy: {
        Pipeline: ['LoadBalancing', 'HttpSysDelegation'],
        Routes: { all: { ClusterId: 'all', Match: { Path: '{**rest}' } } },
        Clusters: { all: { Destinations: { one: destination } } },
      },
    }));
    const program = this.start(OSTLER, ['run', '--config', configuration, '--urls', 'http://127.0.0.1:0', '--threads', '1']);
    const line = await program.line('listening on ');
    return { program, port: Number(line.split(':').pop()) };
  }
}

/** One request; the whole answer. */
function ask(port, target, { method = 'GET', headers = {}, body, agent } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', path: target, method, headers, agent, timeout: PATIENCE });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
    request.on('response', (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => resolve({
        status: response.statusCode,
        headers: response.headers,
        raw: response.rawHeaders,
        trailers: response.trailers,
        body: Buffer.concat(pieces).toString(),
      }));
    });
    request.end(body);
  });
}

module.exports = { Sandbox, ask, PATIENCE };
