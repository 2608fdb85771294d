/* A server behind a request queue, in C: echo, uploads, downloads, files and a protocol of its own.
 *
 *     cc -o server server.c -lostler_target -lpthread
 *     ./server --queue shop --file film.mp4
 *     ostler run --config shop.json
 *
 * It serves the queue beside other descriptors, here one for signals, by poll(2); with --callback it lets the library
 * call it, which is cheaper where there is nothing else to wait for. Either way nothing in it waits, but for `/delay`,
 * which shows that a thread of one's own may answer.
 *
 *     /            the label and the process' number
 *     /about       what is known of the request
 *     /echo        the body, as it comes
 *     /upload      the length of the body, and a sum over it
 *     /bytes/N     N bytes, whose number is told
 *     /stream/N    N bytes in chunks, with a trailer
 *     /break/N     N bytes of N + 1
 *     /delay/MS    the greeting, so many milliseconds later
 *     /file        the file
 *     /line        switches to a protocol in which the server says back what it hears (`Upgrade: line`)
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ostler_target.h"

static const char *label = "server";
static const char *file_path;
static ostler_queue queue;

/* What an exchange that cannot be answered at once is about. */
struct work {
    ostler_exchange exchange;
    enum { SAYS_BACK, COUNTS, GENERATES } kind;
    /* Bytes between reading and writing: buffer[begin..end]. */
    char buffer[16 * 1024];
    size_t begin, end;
    bool input_ended;
    /* Bytes that came, or that are still to be made. */
    uint64_t count;
    /* FNV-1a over what came. */
    uint64_t sum;
    bool breaks_off, has_trailers;
};

static ostler_field field(const char *name, const char *value) {
    return (ostler_field){name, strlen(name), value, strlen(value)};
}

/* Says what went wrong; a client that is gone is nothing wrong. */
static void complain(const char *what, int64_t code) {
    if (code == OSTLER_ERROR_GONE)
        printf("gone\n");
    else
        fprintf(stderr, "%s: %s: %s\n", what, ostler_error_name((int32_t)code), ostler_error_text());
}

/* Answers with a text, and lets go of the exchange. */
static void answer(ostler_exchange exchange, unsigned status, const char *text) {
    ostler_field fields[] = {field("content-type", "text/plain; charset=utf-8")};
    int32_t sent = ostler_response_send(exchange, status, fields, 1, text, strlen(text));
    if (sent < 0)
        complain("answer", sent);
    ostler_exchange_close(exchange);
}

static void greet(ostler_exchange exchange) {
    char text[128];
    snprintf(text, sizeof text, "%s %ld\n", label, (long)getpid());
    answer(exchange, 200, text);
}

/* Lets go of an exchange and what it needed. One that was not ended is cancelled by that. */
static void finish(struct work *work) {
    ostler_exchange_close(work->exchange);
    free(work);
}

static void answer_count(struct work *work) {
    const ostler_field *trailers;
    int64_t count = ostler_request_trailers(work->exchange, &trailers);
    char text[128];
    snprintf(text, sizeof text, "{\"length\":%" PRIu64 ",\"sum\":\"%016" PRIx64 "\",\"trailers\":%" PRId64 "}\n",
             work->count, work->sum, count);
    answer(work->exchange, 200, text);
    free(work);
}

static void take_in(struct work *work) {
    for (size_t at = work->begin; at < work->end; at++)
        work->sum = (work->sum ^ (unsigned char)work->buffer[at]) * UINT64_C(0x100000001b3);
    work->count += work->end - work->begin;
    work->begin = work->end;
}

/* Byte i is i modulo 256. */
static void make_more(struct work *work, uint64_t total) {
    uint64_t begun = total - work->count;
    work->begin = 0;
    work->end = work->count < sizeof work->buffer ? (size_t)work->count : sizeof work->buffer;
    for (size_t at = 0; at < work->end; at++)
        work->buffer[at] = (char)(begun + at);
    work->count -= work->end;
    work->input_ended = work->count == 0;
}

/* Gets bytes into the buffer. False when there are none now, or the exchange is over. */
static bool fill(struct work *work) {
    if (work->kind == GENERATES) {
        make_more(work, work->sum);
        return true;
    }
    int64_t count = ostler_request_read(work->exchange, work->buffer, sizeof work->buffer);
    if (count == OSTLER_ERROR_AGAIN)
        return false;
    if (count < 0) {
        complain("read", count);
        finish(work);
        return false;
    }
    work->begin = 0;
    work->end = (size_t)count;
    work->input_ended = count == 0;
    return true;
}

/* Gives what is in the buffer. False when there is no room now, or the exchange is over. */
static bool empty(struct work *work) {
    while (work->begin < work->end) {
        int64_t count = ostler_response_write(work->exchange, work->buffer + work->begin, work->end - work->begin);
        if (count == OSTLER_ERROR_AGAIN)
            return false;
        if (count < 0) {
            complain("write", count);
            finish(work);
            return false;
        }
        work->begin += (size_t)count;
    }
    return true;
}

static void end(struct work *work) {
    ostler_field trailers[] = {field("x-sum", "none")};
    if (!work->breaks_off)
        ostler_response_end(work->exchange, trailers, work->has_trailers ? 1 : 0);
    finish(work);
}

/* Goes on with an exchange for as long as nothing has to be waited for. */
static void go_on(struct work *work) {
    for (;;) {
        if (work->kind == COUNTS)
            take_in(work);
        else if (!empty(work))
            return;
        if (work->input_ended) {
            if (work->kind == COUNTS)
                answer_count(work);
            else
                end(work);
            return;
        }
        if (!fill(work))
            return;
    }
}

static struct work *begin(ostler_exchange exchange, int kind) {
    struct work *work = calloc(1, sizeof *work);
    if (!work)
        abort();
    work->exchange = exchange;
    work->kind = kind;
    ostler_exchange_set_data(exchange, work);
    return work;
}

static void start(struct work *work, unsigned status, const ostler_field *fields, size_t count) {
    int32_t started = ostler_response_start(work->exchange, status, fields, count);
    if (started < 0) {
        complain("start", started);
        finish(work);
        return;
    }
    go_on(work);
}

static void generate(ostler_exchange exchange, const char *path, uint64_t count) {
    struct work *work = begin(exchange, GENERATES);
    char length[32];
    work->count = work->sum = count;
    work->breaks_off = strncmp(path, "/break/", 7) == 0;
    work->has_trailers = strncmp(path, "/stream/", 8) == 0;
    snprintf(length, sizeof length, "%" PRIu64, count + work->breaks_off);
    ostler_field fields[] = {work->has_trailers ? field("trailer", "x-sum") : field("content-length", length)};
    start(work, 200, fields, 1);
}

struct delay {
    ostler_exchange exchange;
    long milliseconds;
};

static void *answer_later(void *argument) {
    struct delay delay = *(struct delay *)argument;
    free(argument);
    usleep((useconds_t)delay.milliseconds * 1000);
    greet(delay.exchange);
    return NULL;
}

static void delay(ostler_exchange exchange, long milliseconds) {
    struct delay *delay = malloc(sizeof *delay);
    pthread_t thread;
    if (!delay)
        abort();
    *delay = (struct delay){exchange, milliseconds};
    if (pthread_create(&thread, NULL, answer_later, delay) == 0) {
        pthread_detach(thread);
        return;
    }
    free(delay);
    answer(exchange, 503, "no thread\n");
}

static void send_file(ostler_exchange exchange) {
    int file = file_path ? open(file_path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) {
        answer(exchange, 404, "no file\n");
        return;
    }
    int32_t sent = ostler_response_send_file(exchange, 200, NULL, 0, file, 0, UINT64_MAX);
    close(file);
    if (sent < 0)
        complain("send_file", sent);
    ostler_exchange_close(exchange);
}

static void tell_about(ostler_exchange exchange, const ostler_request *request) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    fprintf(out, "%s %s %u way %u length %" PRId64 "\n", request->method, request->target, request->http_version,
            request->way, request->content_length);
    fprintf(out, "client %s\n", request->client_address ? request->client_address : "none");
    for (size_t at = 0; at < request->field_count; at++) {
        const ostler_field *it = &request->fields[at];
        fprintf(out, "%.*s: %.*s\n", (int)it->name_length, it->name, (int)it->value_length, it->value);
    }
    fclose(out);
    answer(exchange, 200, text);
    free(text);
}

static void switch_protocol(ostler_exchange exchange, const ostler_request *request) {
    ostler_field fields[] = {field("connection", "upgrade"), field("upgrade", "line")};
    if (!request->wants_upgrade) {
        answer(exchange, 426, "this path speaks another protocol\n");
        return;
    }
    start(begin(exchange, SAYS_BACK), 101, fields, 2);
}

static void serve(ostler_exchange exchange) {
    ostler_request request = OSTLER_REQUEST_INIT;
    int32_t asked = ostler_exchange_request(exchange, &request);
    if (asked < 0) {
        complain("request", asked);
        return;
    }
    char path[256];
    snprintf(path, sizeof path, "%.*s", (int)strcspn(request.target, "?"), request.target);
    const char *number = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (strncmp(path, "/bytes/", 7) == 0 || strncmp(path, "/stream/", 8) == 0 || strncmp(path, "/break/", 7) == 0)
        generate(exchange, path, strtoull(number, NULL, 10));
    else if (strncmp(path, "/delay/", 7) == 0)
        delay(exchange, strtol(number, NULL, 10));
    else if (strcmp(path, "/echo") == 0)
        start(begin(exchange, SAYS_BACK), 200, NULL, 0);
    else if (strcmp(path, "/upload") == 0) {
        struct work *work = begin(exchange, COUNTS);
        work->sum = UINT64_C(0xcbf29ce484222325);
        go_on(work);
    } else if (strcmp(path, "/file") == 0)
        send_file(exchange);
    else if (strcmp(path, "/about") == 0)
        tell_about(exchange, &request);
    else if (strcmp(path, "/line") == 0)
        switch_protocol(exchange, &request);
    else
        greet(exchange);
}

/* True once there is nothing more to serve. */
static bool handle(const ostler_event *event) {
    switch (event->kind) {
    case OSTLER_EVENT_REQUEST:
        serve(event->exchange);
        break;
    case OSTLER_EVENT_READABLE:
    case OSTLER_EVENT_WRITABLE:
        go_on(event->data);
        break;
    case OSTLER_EVENT_ENDED:
        /* Of exchanges that answer at once nothing is left by now, and threads find out by themselves. */
        if (event->data) {
            printf("gone\n");
            finish(event->data);
        }
        break;
    case OSTLER_EVENT_STOPPED:
        return true;
    }
    return false;
}

static void called(const ostler_event *event, void *context) {
    (void)context;
    handle(event);
}

/* Signals come by a descriptor, since nothing of the library may be called in a signal's handler. */
static int signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int serve_by_poll(int signal_descriptor) {
    struct pollfd polled[] = {
        {.fd = ostler_queue_descriptor(queue), .events = POLLIN},
        {.fd = signal_descriptor, .events = POLLIN},
    };
    ostler_event event;
    while (polled[0].fd >= 0) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            break;
        struct signalfd_siginfo signal;
        if (polled[1].revents && read(signal_descriptor, &signal, sizeof signal) > 0)
            ostler_queue_stop(queue);
        while (ostler_queue_take(queue, &event) == 1)
            if (handle(&event))
                return 0;
    }
    return 1;
}

static void *stop_by_signal(void *argument) {
    struct signalfd_siginfo signal;
    if (read(*(int *)argument, &signal, sizeof signal) > 0)
        ostler_queue_stop(queue);
    return NULL;
}

static int serve_by_callback(int signal_descriptor) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, stop_by_signal, &signal_descriptor) != 0)
        return 1;
    int32_t served = ostler_queue_run(queue, called, NULL);
    pthread_join(thread, NULL);
    return served < 0;
}

int main(int argc, char **argv) {
    ostler_queue_options options = OSTLER_QUEUE_OPTIONS_INIT;
    bool by_callback = false;
    options.mode = OSTLER_MODE_CREATE_OR_ATTACH;
    for (int at = 1; at < argc; at++) {
        const char *value = at + 1 < argc ? argv[at + 1] : "";
        if (strcmp(argv[at], "--callback") == 0)
            by_callback = true;
        else if (strcmp(argv[at], "--queue") == 0)
            options.name = value;
        else if (strcmp(argv[at], "--file") == 0)
            file_path = value;
        else if (strcmp(argv[at], "--label") == 0)
            options.label = label = value;
    }
    int signal_descriptor = signals();
    if (ostler_queue_open(&options, &queue) < 0) {
        fprintf(stderr, "cannot open the queue: %s\n", ostler_error_text());
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("queue %s ready\n", options.name);
    int status = by_callback ? serve_by_callback(signal_descriptor) : serve_by_poll(signal_descriptor);
    ostler_queue_close(queue);
    return status;
}
