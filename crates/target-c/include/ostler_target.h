/* Ostler's target library for C: opens a request queue and answers the requests that a front delegates to it.
 *
 * This file is made of the library's source; do not edit it.
 *
 * A program opens a queue, takes events and answers requests:
 *
 *     ostler_queue_options options = OSTLER_QUEUE_OPTIONS_INIT;
 *     ostler_queue queue;
 *     options.name = "shop";
 *     options.mode = OSTLER_MODE_CREATE_OR_ATTACH;
 *     if (ostler_queue_open(&options, &queue) != 0) { puts(ostler_error_text()); exit(1); }
 *     ostler_queue_run(queue, answer, NULL);
 *
 * where `answer` is called for each event:
 *
 *     void answer(const ostler_event *event, void *context) {
 *         if (event->kind != OSTLER_EVENT_REQUEST) return;
 *         ostler_response_send(event->exchange, 200, NULL, 0, "hello\n", 6);
 *         ostler_exchange_close(event->exchange);
 *     }
 *
 * Or it polls `ostler_queue_descriptor` beside its other descriptors and takes events by `ostler_queue_take`, or has
 * threads that wait by `ostler_queue_wait`.
 *
 * What holds for all of it:
 *
 * - Nothing waits, but `ostler_queue_wait` and `ostler_queue_run`, which are there for that, and `ostler_queue_close`,
 *   for its thread.
 * - Functions that can fail return a negative OSTLER_ERROR_..., and `ostler_error_text` says more.
 * - Handles are numbers. One that was closed, that is of another kind or that never was is OSTLER_ERROR_HANDLE. 0 is
 *   never a handle.
 * - What is given to a function is the caller's, and is copied where it is needed for longer than the call. What a function
 *   gives pointers to is the exchange's, and stays until `ostler_exchange_close`.
 * - NULL where something is wanted is OSTLER_ERROR_ARGUMENT. A pointer that is neither NULL nor valid cannot be seen.
 * - Any thread may call any function, also several about one exchange: each call is whole, in some order.
 * - The process' signals are left alone. The library's threads block SIGPIPE, and so does `ostler_queue_run` while it runs.
 * - Nothing unwinds out of the library: a fault of its own is OSTLER_ERROR_FAULT.
 */


#ifndef OSTLER_TARGET_H
#define OSTLER_TARGET_H

#include <stddef.h>
#include <stdint.h>

// The major number changes when something that exists changes or goes; it is the shared library's number, too.
#define OSTLER_VERSION_MAJOR 0

// The minor number changes when something is added.
#define OSTLER_VERSION_MINOR 1

// Why a function has failed; every function that can fail returns one of these, or what it was asked for,
// which is never negative. The text is `ostler_error_text()`.
typedef enum OSTLER_ERROR {
  // A handle that was closed, or is not of the kind that the function wants.
  OSTLER_ERROR_HANDLE = -1,
  // An argument that cannot be right.
  OSTLER_ERROR_ARGUMENT = -2,
  // It cannot be done now, or not any more: the response was begun, the queue is served.
  OSTLER_ERROR_STATE = -3,
  // It would have to wait. An event says when to try again.
  OSTLER_ERROR_AGAIN = -4,
  // The client is gone, or the exchange is over.
  OSTLER_ERROR_GONE = -5,
  // A queue of this name has an instance already, or the URL prefix was registered.
  OSTLER_ERROR_EXISTS = -6,
  // There is no queue of this name, and it was not to be made.
  OSTLER_ERROR_NOT_FOUND = -7,
  // This user may not open the queue.
  OSTLER_ERROR_ACCESS = -8,
  // The body is malformed.
  OSTLER_ERROR_MALFORMED = -9,
  // The body is larger than the front allows.
  OSTLER_ERROR_TOO_LARGE = -10,
  // The client sends the body too slowly, or not at all.
  OSTLER_ERROR_TOO_SLOW = -11,
  // The system refuses.
  OSTLER_ERROR_SYSTEM = -12,
  // A fault of the library's.
  OSTLER_ERROR_FAULT = -13,
} OSTLER_ERROR;

// What an event tells.
typedef enum OSTLER_EVENT {
  // A request has come. The exchange is the program's until `ostler_exchange_close`.
  OSTLER_EVENT_REQUEST = 1,
  // `ostler_request_read`, which has returned OSTLER_ERROR_AGAIN, can be tried again.
  OSTLER_EVENT_READABLE = 2,
  // `ostler_response_write`, which has returned OSTLER_ERROR_AGAIN, can be tried again.
  OSTLER_EVENT_WRITABLE = 3,
  // The exchange is over: `error` is 0 when the whole response was given to the client's connection, and
  // OSTLER_ERROR_GONE when it was not. The handle is still to be closed. It does not come once a protocol was
  // switched, unless writing failed.
  OSTLER_EVENT_ENDED = 4,
  // The queue is served no more; `error` is 0 when it was stopped. The last event of all.
  OSTLER_EVENT_STOPPED = 5,
} OSTLER_EVENT;

// Whether to make a queue, to join it, or either.
typedef enum OSTLER_MODE {
  // Makes it; an error where another instance has it.
  OSTLER_MODE_CREATE = 0,
  // Joins it; an error where there is none.
  OSTLER_MODE_ATTACH = 1,
  // Either.
  OSTLER_MODE_CREATE_OR_ATTACH = 2,
} OSTLER_MODE;

// What a client sees when the queue is full.
typedef enum OSTLER_VERBOSITY {
  // A reset.
  OSTLER_VERBOSITY_BASIC = 0,
  // 503.
  OSTLER_VERBOSITY_LIMITED = 1,
  // 503, with the reason.
  OSTLER_VERBOSITY_FULL = 2,
} OSTLER_VERBOSITY;

// How a request reached this process.
typedef enum OSTLER_WAY {
  // The client's own socket was handed over.
  OSTLER_WAY_DELEGATED = 1,
  // The front passes the bytes on over a socket.
  OSTLER_WAY_RELAYED = 2,
  // The front passes the bytes on through memory that it shares with this process.
  OSTLER_WAY_STREAMED = 3,
} OSTLER_WAY;

// How a queue is opened. `OSTLER_QUEUE_OPTIONS_INIT` sets `size`, and all others to 0 or NULL, which stands for the
// default. Everything it points to is the caller's, and needed during the call alone.
typedef struct ostler_queue_options {
  // `sizeof(ostler_queue_options)`.
  size_t size;
  // The queue's name, 1 to 260 characters, compared without case.
  const char *name;
  // URL prefixes: `http://*:80/` where there are none.
  const char *const *url_prefixes;
  // How many.
  size_t url_prefix_count;
  // A text for people; the program's name by default.
  const char *label;
  // The runtime folder, by default the one that `$OSTLER_RUNTIME_DIR` or the system says.
  const char *runtime_folder;
  // One of `OSTLER_MODE_...`.
  uint32_t mode;
  // One of `OSTLER_VERBOSITY_...`.
  uint32_t verbosity;
  // Most requests that may wait; 1000 by default.
  uint32_t limit;
  // Permissions of the queue's folder; 0750 by default.
  uint32_t permissions;
  // How long a request may wait, in milliseconds; 120000 by default, as those that follow.
  uint32_t wait_timeout_ms;
  // How long a client may send no byte of a body.
  uint32_t body_timeout_ms;
  // How long the rest of an unread body may take.
  uint32_t drain_timeout_ms;
  // How long a client may take no byte of a response.
  uint32_t send_timeout_ms;
  // Not 0: the queue stays after a clean stop, so that requests wait for the next instance.
  uint32_t keep_queue;
  // Always 0.
  uint32_t reserved;
} ostler_queue_options;

// An open request queue; see `ostler_queue_open`.
typedef uint64_t ostler_queue;

// A request that has come; see `ostler_queue_take`.
typedef uint64_t ostler_exchange;

// Something that a program is to know.
typedef struct ostler_event {
  // One of `OSTLER_EVENT_...`.
  uint32_t kind;
  // 0, or why it ended.
  int32_t error;
  // Whom it is about; 0 where that is the queue.
  ostler_exchange exchange;
  // What `ostler_exchange_set_data` has set.
  void *data;
} ostler_event;

// What is called for each event; see `ostler_queue_run`.
typedef void (*ostler_callback)(const struct ostler_event *event, void *context);

// A field of a head: bytes, which need not end with a zero.
typedef struct ostler_field {
  // In lower case where the library gives it.
  const char *name;
  // Bytes of the name.
  size_t name_length;
  // Any bytes but controls.
  const char *value;
  // Bytes of the value.
  size_t value_length;
} ostler_field;

// A request's head and what is known beyond it. What it points to is the exchange's, and stays until
// `ostler_exchange_close`. Times are nanoseconds of CLOCK_MONOTONIC; 0 is unknown.
typedef struct ostler_request {
  // `sizeof(ostler_request)`, set by the program.
  size_t size;
  // The method; ends with a zero.
  const char *method;
  // The request-target as the front has it; ends with a zero.
  const char *target;
  // The fields in the order in which their names came first; those of one name stand together.
  const struct ostler_field *fields;
  // How many.
  size_t field_count;
  // The client's address and port, as text: `192.0.2.7:4711`, `[2001:db8::7]:4711`; NULL for a request that no
  // client has sent, as a front's health check.
  const char *client_address;
  // The address and port that the client connected to; NULL as before.
  const char *local_address;
  // The host that the client asked for in its TLS handshake; NULL without any.
  const char *server_name;
  // The TLS version as TLS writes it, 0x0303 or 0x0304; 0 is clear text.
  uint32_t tls_version;
  // HTTP's version as major * 10 + minor: 10, 11, 20.
  uint32_t http_version;
  // One of `OSTLER_WAY_...`.
  uint32_t way;
  // 1 when the request asks for another protocol, so that 101 may answer it.
  uint32_t wants_upgrade;
  // The body's length; -1 when it is not known before its end.
  int64_t content_length;
  // When the connection was accepted.
  uint64_t connection_started_ns;
  // When the front had the whole head.
  uint64_t head_received_ns;
  // When the front queued the request.
  uint64_t queued_ns;
  // When this process took it.
  uint64_t received_ns;
} ostler_request;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The text of the last error on this thread, for people: never NULL, and empty before the first. It stays
// until the next call of this library on this thread that fails.
const char *ostler_error_text(void);

// The library's version, as `major * 65536 + minor`. A program that was compiled with the same major number runs
// with it; `OSTLER_VERSION_MAJOR` and `OSTLER_VERSION_MINOR` are the header's.
uint32_t ostler_version(void);

// Words for a code: what the constant says, for logs. Never NULL; it stays for ever.
const char *ostler_error_name(int32_t code);

// Opens a request queue, and gives its handle. It is served from `ostler_queue_descriptor` or
// `ostler_queue_run` on; until then requests wait in the fronts. A process that forks opens its queues after
// that.
//
// Returns 0, or an error: OSTLER_ERROR_EXISTS, OSTLER_ERROR_NOT_FOUND, OSTLER_ERROR_ACCESS, OSTLER_ERROR_ARGUMENT,
// OSTLER_ERROR_SYSTEM. Any thread may call.
int32_t ostler_queue_open(const struct ostler_queue_options *options,
                          ostler_queue *queue);

// Registers a further URL prefix. Returns 0, or an error: OSTLER_ERROR_EXISTS, OSTLER_ERROR_ARGUMENT. Any thread
// may call.
int32_t ostler_queue_add_url_prefix(ostler_queue queue,
                                    const char *prefix);

// Removes a URL prefix. Returns 1 when it was registered, 0 when it was not, or an error. Any thread may call.
int32_t ostler_queue_remove_url_prefix(ostler_queue queue,
                                       const char *prefix);

// Has the queue served by a thread of the library's, the first time, and returns a descriptor that is readable while
// `ostler_queue_take` has events: for poll(2), epoll(7) and their kin, level-triggered or edge-triggered (take until
// there are none). It is the library's: it is neither read nor closed by the program, and stays until
// `ostler_queue_close`.
//
// Returns the descriptor, or an error: OSTLER_ERROR_STATE after `ostler_queue_run`. Any thread may call.
int32_t ostler_queue_descriptor(ostler_queue queue);

// Takes the next event, without waiting. Returns 1 when there was one, 0 when there is none now, or an error. Any
// thread may call, several at once: each event goes to one of them.
int32_t ostler_queue_take(ostler_queue queue,
                          struct ostler_event *event);

// Takes the next event, and waits for it: so many milliseconds, or for ever where they are negative. Returns 1
// when there was one, 0 when the time is over or a signal came, or an error. Any thread may call, several at once.
int32_t ostler_queue_wait(ostler_queue queue,
                          struct ostler_event *event,
                          int32_t timeout_ms);

// Serves the queue on the calling thread, and calls `callback` for each event, on this thread, until the queue was
// stopped and everything is answered; its last event is OSTLER_EVENT_STOPPED. A request that the callback answers at
// once goes out without waking any thread, so this is the cheapest way to serve. While the callback runs, nothing
// else is served: it must not wait, and may hand the exchange to another thread. The event is valid during the call.
// Neither an exception nor longjmp may leave the callback. Switched connections end when this returns.
//
// Returns 0, or an error: OSTLER_ERROR_STATE where the queue is served already.
int32_t ostler_queue_run(ostler_queue queue,
                         ostler_callback callback,
                         void *context);

// Takes no new requests: those that the program was not given go to other instances, or wait in the fronts for the next
// one. OSTLER_EVENT_STOPPED follows once all others are answered. Returns 0, or an error. Any thread may call, and
// the callback; a signal handler must not.
int32_t ostler_queue_stop(ostler_queue queue);

// Closes the queue at once. Exchanges that are not over are cut off, and their handles closed with the queue's: what
// they point to is gone. `ostler_queue_stop`, and OSTLER_EVENT_STOPPED, go before it where nothing is to be cut.
//
// Returns 0, or an error: OSTLER_ERROR_STATE while `ostler_queue_run` has not returned. Any thread may call, while
// no other is in a call about this queue or its exchanges.
int32_t ostler_queue_close(ostler_queue queue);

// Gives a request's head, and what is known beyond it. The structure's `size` is set before. Returns 0, or an error.
// Any thread may call.
int32_t ostler_exchange_request(ostler_exchange exchange,
                                struct ostler_request *request);

// Sets what events of this exchange carry as `data`. It is the program's: the library neither reads nor frees it.
// Returns 0, or an error. Any thread may call.
int32_t ostler_exchange_set_data(ostler_exchange exchange,
                                 void *data);

// Reads bytes of the request's body, as its framing says and without it; once the protocol was switched, bytes of
// the connection. The first read tells a client that waits for it (`Expect: 100-continue`) to send the body. Bytes
// leave the kernel only as they are read, so a program that reads slowly holds the client back.
//
// Returns how many bytes it has put into the buffer, 0 at the end, or an error: OSTLER_ERROR_AGAIN, and
// OSTLER_EVENT_READABLE follows; OSTLER_ERROR_GONE, OSTLER_ERROR_MALFORMED, OSTLER_ERROR_TOO_LARGE,
// OSTLER_ERROR_TOO_SLOW. Any thread may call.
int64_t ostler_request_read(ostler_exchange exchange,
                            void *buffer,
                            size_t length);

// Gives the trailer fields of a request whose body has been read to its end. They are the exchange's, and stay until
// `ostler_exchange_close`. Returns how many there are, or an error: OSTLER_ERROR_STATE before the end. Any thread may
// call.
int64_t ostler_request_trailers(ostler_exchange exchange,
                                const struct ostler_field **fields);

// Closes an exchange: the handle stands for nothing any more, and neither does what was given of it. A response that
// was ended is sent, however long that takes; one that was not is cancelled, and so is a switched connection. Each
// exchange that a program was given is closed by it once, whatever became of it. Returns 0, or OSTLER_ERROR_HANDLE.
// Any thread may call, while no other uses what was given of it.
int32_t ostler_exchange_close(ostler_exchange exchange);

// Gives up: a client that was not answered gets a 500; a response that was begun ends early, and the connection with
// it, so that the client sees that it is not whole. After the response's end this does nothing. Returns 0, or
// OSTLER_ERROR_HANDLE. Any thread may call.
int32_t ostler_exchange_cancel(ostler_exchange exchange);

// Gives a whole response. Status, fields and body are copied. The library frames it: it writes Content-Length, Date
// and Connection, and keeps `Connection: close` and a Date that are given. This is the cheapest way to answer: head
// and body go out in one call.
//
// Returns 0, or an error: OSTLER_ERROR_ARGUMENT, and nothing has happened; OSTLER_ERROR_STATE where a response was
// begun; OSTLER_ERROR_GONE. Any thread may call.
int32_t ostler_response_send(ostler_exchange exchange,
                             uint32_t status,
                             const struct ostler_field *fields,
                             size_t field_count,
                             const void *body,
                             size_t body_length);

// Gives a response whose body is a file, or a part of it: from `offset` on, `length` bytes, or all there are where
// that is UINT64_MAX. The kernel takes it to the client where it can. The library answers a `Range` of one part: with
// status 200 it may send 206 or 416 in its place, and it compares `If-Range` with the `ETag` or `Last-Modified` among the
// fields. The descriptor, of a regular file open for reading, stays the program's, which may close it when this
// returns; its position is neither used nor moved.
//
// Returns 0, or an error, as `ostler_response_send`; OSTLER_ERROR_SYSTEM where the file cannot be sent. Any thread
// may call.
int32_t ostler_response_send_file(ostler_exchange exchange,
                                  uint32_t status,
                                  const struct ostler_field *fields,
                                  size_t field_count,
                                  int32_t descriptor,
                                  uint64_t offset,
                                  uint64_t length);

// Begins a response; `ostler_response_write` and `ostler_response_end` follow. Status and fields are copied. A
// `Content-Length` among the fields is held to: a body that is not as long ends the connection. Without one the
// library sends chunks.
//
// With status 101, where the request has `wants_upgrade`, the protocol is switched: `ostler_request_read` and
// `ostler_response_write` are the connection's two directions from then on, `ostler_response_end` ends the latter. The
// connection is this process' alone, and goes on when the front is gone.
//
// Returns 0, or an error, as `ostler_response_send`. Any thread may call.
int32_t ostler_response_start(ostler_exchange exchange,
                              uint32_t status,
                              const struct ostler_field *fields,
                              size_t field_count);

// Gives bytes of the response's body, which are copied. What the client has not taken waits in the library, up to 256
// KiB.
//
// Returns how many bytes were taken, which may be fewer than were given, or an error: OSTLER_ERROR_AGAIN where there is
// no room, and OSTLER_EVENT_WRITABLE follows; OSTLER_ERROR_STATE before the beginning or behind the end;
// OSTLER_ERROR_GONE. Any thread may call.
int64_t ostler_response_write(ostler_exchange exchange,
                              const void *data,
                              size_t length);

// Ends a response that was begun, with trailer fields, which are copied. They are sent where the body is sent in chunks
// and the head has named them in its field `Trailer`.
// The exchange can be closed then: what was given is sent. Returns 0, or an error, as `ostler_response_write` but for
// OSTLER_ERROR_AGAIN. Any thread may call.
int32_t ostler_response_end(ostler_exchange exchange,
                            const struct ostler_field *trailers,
                            size_t trailer_count);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* OSTLER_TARGET_H */

// Every option its default; the name is still to be set.
#define OSTLER_QUEUE_OPTIONS_INIT { sizeof(ostler_queue_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

// A request to be filled in.
#define OSTLER_REQUEST_INIT { sizeof(ostler_request), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
