import type { RequestListener, Server, ServerOptions, ServerResponse } from 'node:http';
import type { FileHandle } from 'node:fs/promises';

/** How a queue is opened; what is left out has its default. */
export interface QueueOptions {
  /** The queue's name, 1 to 260 characters, compared without case. */
  queue: string;
  /** The URL prefix that it answers for: `http://*:80/` by default. */
  urlPrefix?: string;
  /** Several of them. */
  urlPrefixes?: string[];
  /** Whether to make the queue, to join it, or either, which is the default. */
  mode?: 'create' | 'attach' | 'create-or-attach';
  /** A text for people, shown by `ostler queues`. */
  label?: string;
  /** The runtime folder, by default the one that `$OSTLER_RUNTIME_DIR` or the system says. */
  runtimeFolder?: string;
  /** Most requests that may wait; 1000 by default. */
  limit?: number;
  /** What a client sees when the queue is full: a reset, a 503, or one that says why. */
  verbosity?: 'basic' | 'limited' | 'full';
  /** How long a request may wait, in milliseconds; two minutes by default. */
  waitTimeout?: number;
  /** Whether the queue stays after a clean stop, so that requests wait for the next instance. */
  keepQueue?: boolean;
}

/** Node's server, whose `listen` takes a queue too. */
export interface QueueServer extends Omit<Server, 'listen'> {
  listen: Server['listen'] & ((options: QueueOptions, listening?: () => void) => Server);
}

/** `http.createServer`, for a server that can serve a queue. */
export function createServer(listener?: RequestListener): QueueServer;
export function createServer(options: ServerOptions, listener?: RequestListener): QueueServer;

/** A part of a file, in bytes: from `start` to before `end`. */
export interface FilePart {
  start?: number;
  end?: number;
}

/**
 * Answers with a file, by its handle or descriptor, which may be closed when this returns. The kernel sends it to the client
 * where it can. The response's status and headers are kept; with a status of 200, `Range` is answered by the library.
 */
export function sendFile(response: ServerResponse, file: FileHandle | number, part?: FilePart): void;
