/* What a package in C can do besides the happy path: a print shop with tasks that run on their own threads.
 *
 *   fetch    asks to be tried again, with a wait, while the paper is late; fails for good when there is none
 *   print    works for a while, says how far it is, writes log lines with fields, and stops when it is asked to
 *   deliver  takes a value away and adds another, {"set": ..., "unset": [...]}
 *
 * The threads and their work:
 *
 *   host thread     start ── copies the call ──> its own thread ── complete, exactly once
 *   any thread      cancel ── sets a mark and wakes the thread up
 *   any thread      shutdown ── marks every call, waits for the threads, and prevents later use of the host
 *
 * No task is marked as blocking, so start returns at once. The list of calls is the only state that threads share, and
 * it is locked by one mutex; nothing of the host is called under it. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cloacina.h"

CLCN_METADATA(
    "{\"format\":1,\"abi\":\"1.2\",\"package\":\"print_shop\",\"version\":\"0.1.0\","
    "\"description\":\"Prints an order on threads of its own\",\"author\":\"The Cloacina authors\","
    "\"workflows\":[{\"name\":\"order\",\"tasks\":["
    "{\"id\":\"fetch\",\"index\":0,"
    "\"retry\":{\"attempts\":3,\"backoff\":\"fixed\",\"delay_ms\":1,\"jitter\":false},"
    "\"description\":\"Fetches the paper.\"},"
    "{\"id\":\"print\",\"index\":1,\"dependencies\":[\"fetch\"],\"timeout_ms\":60000,"
    "\"description\":\"Prints page by page.\"},"
    "{\"id\":\"deliver\",\"index\":2,\"dependencies\":[\"print\"],"
    "\"description\":\"Replaces the draft by a delivery.\"}]}]}");

/* One attempt, from start to complete. What the host lent to start is gone when start returns, so it is copied. */
typedef struct call {
    struct call *next;
    uint64_t id;
    uint32_t task;
    uint32_t attempt;
    bool stop; /* Guarded by mutex. */
    char context[];
} call;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed; /* A call came, went, or was asked to stop. Measured by the clock that never jumps. */
static const clcn_host_v1 *host;
static call *calls;     /* All calls that have not completed. */
static bool is_open;    /* Between init and shutdown. */
static unsigned n_inside; /* How many threads are in a function of the host. */

/* ---- The host, as long as it may be called ------------------------------------------------------------------- */

/* Whether the host may be called now; every true is followed by leave_host. */
static bool enter_host(void) {
    pthread_mutex_lock(&mutex);
    bool may = is_open;
    if (may) n_inside++;
    pthread_mutex_unlock(&mutex);
    return may;
}

static void leave_host(void) {
    pthread_mutex_lock(&mutex);
    n_inside--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static clcn_bytes text(const char *string) {
    clcn_bytes bytes = {(const uint8_t *)string, strlen(string)};
    return bytes;
}

/* A log line whose fields are the JSON that the format makes. A line is not formatted if its level is not wanted. */
static void log_line(const call *call, uint32_t level, const char *message, const char *format, ...) {
    if (!enter_host()) return;
    if (*host->max_log_level >= level) {
        char fields[256];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(fields, sizeof fields, format, arguments);
        va_end(arguments);
        host->log(host->ctx, call->id, level, CLCN_TEXT("print_shop"), text(message), text(fields));
    }
    leave_host();
}

static void heartbeat(const call *call, uint32_t permille, const char *note) {
    if (!enter_host()) return;
    host->heartbeat(host->ctx, call->id, permille, text(note));
    leave_host();
}

/* On the thread of the call, which has worked for nothing else: its clock shows what the call has used up. */
static void complete(const call *call, clcn_result *result) {
    struct timespec used;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0)
        result->cpu_ns = (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
    if (!enter_host()) return;
    host->complete(host->ctx, call->id, result);
    leave_host();
}

static void fail(const call *call, int32_t status, uint32_t retry_after_ms, const char *code, const char *message,
                 const char *details) {
    clcn_result result = CLCN_RESULT_INIT;
    result.status = status;
    result.retry_after_ms = retry_after_ms;
    result.error_code = text(code);
    result.error_message = text(message);
    result.output = text(details);
    complete(call, &result);
}

/* ---- Waiting, and being asked to stop ------------------------------------------------------------------------- */

static struct timespec after_ms(long ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Waits, unless the call is asked to stop; false if it was. */
static bool work_for_ms(const call *call, long ms) {
    struct timespec until = after_ms(ms);
    pthread_mutex_lock(&mutex);
    while (!call->stop && pthread_cond_timedwait(&changed, &mutex, &until) != ETIMEDOUT) continue;
    bool goes_on = !call->stop;
    pthread_mutex_unlock(&mutex);
    return goes_on;
}

/* ---- Tasks ----------------------------------------------------------------------------------------------------- */

/* The number behind "key": in the context, or what it is without. Enough for an example; use a JSON library for real
 * work. */
static long find_number(const call *call, const char *key, long otherwise) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *found = strstr(call->context, quoted);
    if (found == NULL) return otherwise;
    char *end;
    long number = strtol(found + strlen(quoted), &end, 10);
    return end == found + strlen(quoted) ? otherwise : number;
}

static void fetch(const call *call) {
    long late = find_number(call, "paper_late", 0), sheets = find_number(call, "sheets", 100);
    char details[64];
    if (sheets <= 0) {
        snprintf(details, sizeof details, "{\"sheets\":%ld}", sheets);
        fail(call, CLCN_FAILED, 0, "no_paper", "an order needs at least one sheet", details);
    } else if ((long)call->attempt <= late) {
        log_line(call, CLCN_WARN, "the paper is late", "{\"attempt\":%u}", call->attempt);
        fail(call, CLCN_RETRY, 50, "paper_late", "the paper comes in 50 ms", "");
    } else {
        char delta[64];
        clcn_result result = CLCN_RESULT_INIT;
        snprintf(delta, sizeof delta, "{\"set\":{\"paper\":{\"stacked\":%ld}}}", sheets);
        result.output = text(delta);
        complete(call, &result);
    }
}

static void print(const call *call) {
    long pages = find_number(call, "pages", 3), page_ms = find_number(call, "page_ms", 10);
    for (long page = 1; page <= pages; page++) {
        if (!work_for_ms(call, page_ms)) {
            char details[64];
            snprintf(details, sizeof details, "{\"printed\":%ld}", page - 1);
            log_line(call, CLCN_INFO, "stopped", "{\"printed\":%ld}", page - 1);
            fail(call, CLCN_CANCELLED, 0, "cancelled", "stopped between two pages", details);
            return;
        }
        heartbeat(call, (uint32_t)(1000 * page / pages), "printing");
        log_line(call, CLCN_DEBUG, "printed a page", "{\"page\":%ld,\"of\":%ld}", page, pages);
    }
    char delta[64];
    clcn_result result = CLCN_RESULT_INIT;
    snprintf(delta, sizeof delta, "{\"set\":{\"printed\":%ld}}", pages);
    result.output = text(delta);
    complete(call, &result);
}

static void deliver(const call *call) {
    clcn_result result = CLCN_RESULT_INIT;
    result.output = CLCN_TEXT("{\"set\":{\"delivered\":true},\"unset\":[\"draft\",\"paper\"]}");
    log_line(call, CLCN_INFO, "delivered", "{\"pages\":%ld}", find_number(call, "printed", 0));
    complete(call, &result);
}

static void (*const tasks[])(const call *) = {fetch, print, deliver};
enum { N_TASKS = sizeof tasks / sizeof tasks[0] };

static void forget(call *ended) {
    pthread_mutex_lock(&mutex);
    call **place = &calls;
    while (*place != ended) place = &(*place)->next;
    *place = ended->next;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    free(ended);
}

static void *run(void *argument) {
    call *mine = argument;
    tasks[mine->task](mine);
    forget(mine);
    return NULL;
}

/* ---- What the host calls --------------------------------------------------------------------------------------- */

static int32_t init(const clcn_host_v1 *given, clcn_bytes config_json) {
    (void)config_json; /* There is a thread for each call, and the host bounds how many of those there are. */
    if (given->size < sizeof(clcn_host_v1)) return CLCN_REFUSED;
    static bool has_clock;
    pthread_mutex_lock(&mutex);
    if (!has_clock) {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&changed, &attributes);
        pthread_condattr_destroy(&attributes);
        has_clock = true;
    }
    host = given;
    is_open = true;
    pthread_mutex_unlock(&mutex);
    return CLCN_OK;
}

static int32_t start(const clcn_start *asked) {
    if (asked->size < sizeof(clcn_start) || asked->encoding != 0 || asked->task >= N_TASKS) return CLCN_REFUSED;
    call *mine = malloc(sizeof *mine + asked->context.len + 1);
    if (mine == NULL) return CLCN_REFUSED;
    mine->id = asked->call_id;
    mine->task = asked->task;
    mine->attempt = asked->attempt;
    mine->stop = false;
    if (asked->context.len > 0) memcpy(mine->context, asked->context.ptr, asked->context.len);
    mine->context[asked->context.len] = 0;

    /* Known before its thread runs, so that a cancel cannot miss it. */
    pthread_mutex_lock(&mutex);
    bool accepts = is_open;
    if (accepts) {
        mine->next = calls;
        calls = mine;
    }
    pthread_mutex_unlock(&mutex);
    if (!accepts) {
        free(mine);
        return CLCN_REFUSED;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, mine) != 0) {
        forget(mine);
        return CLCN_REFUSED;
    }
    pthread_detach(thread);
    return CLCN_OK;
}

static void cancel(uint64_t call_id) {
    pthread_mutex_lock(&mutex);
    for (call *each = calls; each != NULL; each = each->next) {
        if (each->id == call_id) each->stop = true;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static int32_t shutdown(uint32_t grace_ms) {
    struct timespec until = after_ms(grace_ms);
    pthread_mutex_lock(&mutex);
    for (call *each = calls; each != NULL; each = each->next) each->stop = true;
    pthread_cond_broadcast(&changed);
    while (calls != NULL && pthread_cond_timedwait(&changed, &mutex, &until) != ETIMEDOUT) continue;
    /* A late call finds the door closed; a call that is inside is waited for. */
    is_open = false;
    while (n_inside > 0) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    return CLCN_OK;
}

CLCN_PACKAGE(init, start, cancel, shutdown);
