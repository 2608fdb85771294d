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
