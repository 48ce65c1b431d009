/* cloacina.h: the C ABI of Cloacina packages, version 1.
 *
 * A package is a shared library that exports one function, cloacina_package_v1, and carries a description of
 * its workflows in the section "cloacina". This header is all that is needed to write one in C, C++, Zig, Go or
 * any other language with a C interface. The description's JSON schema, and what a host does with each answer, is
 * in docs/reference/abi.md; docs in this header are complete otherwise.
 *
 * The smallest package, built with `cc -shared -fPIC -I <this folder> -o libhello.so hello.c` and packed with
 * `cloacina-ctl package build --library libhello.so`:
 *
 *     #include "cloacina.h"
 *
 *     CLCN_METADATA("{\"format\":1,\"abi\":\"1.2\",\"package\":\"hello\",\"version\":\"1.0.0\",\"workflows\":["
 *                   "{\"name\":\"greeting\",\"tasks\":[{\"id\":\"say\",\"index\":0,\"blocking\":true}]}]}");
 *
 *     static const clcn_host_v1 *host;
 *
 *     static int32_t init(const clcn_host_v1 *h, clcn_bytes config) {
 *         (void)config;
 *         if (h->size < sizeof(*h)) return CLCN_REFUSED;
 *         host = h;
 *         return CLCN_OK;
 *     }
 *
 *     static int32_t start(const clcn_start *call) {
 *         if (call->size < sizeof(*call) || call->encoding != 0 || call->task != 0) return CLCN_REFUSED;
 *         clcn_result result = CLCN_RESULT_INIT;
 *         result.output_kind = CLCN_OUTPUT_DELTA;
 *         result.output = CLCN_TEXT("{\"set\":{\"said\":\"hello\"}}");
 *         host->complete(host->ctx, call->call_id, &result);
 *         return CLCN_OK;
 *     }
 *
 *     CLCN_PACKAGE(init, start, 0, 0);
 *
 * Rules
 *  1. start returns at once and the package calls complete later, from any thread; a task marked "blocking" in the
 *     description is started on its own thread and may work, and complete, inside of start.
 *  2. Bytes are borrowed: they are valid until the call that passes them returns, and the receiver never frees or
 *     keeps them. Copy what you need later: the fields of clcn_start too.
 *  3. Calls are numbers. Completing a call twice, or one that the host has abandoned, is ignored.
 *  4. Every struct starts with its size; fields are only added at the end, and a reader reads only fields inside
 *     of size. A larger minor version only adds fields; the major version is in the symbol's name.
 *  5. No exception, panic or longjmp may cross a function of this interface.
 *  6. All numbers are little-endian in the section and native in calls; text is UTF-8 without a terminating zero.
 */
#ifndef CLOACINA_H
#define CLOACINA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLCN_ABI_MAJOR 1
#define CLCN_ABI_MINOR 2
#define CLCN_DESCRIPTOR_FORMAT 1

/* How a call, or a function of the package, ended. */
enum {
    CLCN_OK = 0,        /* done; output holds what the task produced */
    CLCN_RETRY = 1,     /* failed, another attempt may succeed */
    CLCN_FAILED = 2,    /* failed permanently */
    CLCN_CANCELLED = 3, /* stopped because the host requested it */
    CLCN_PANIC = 4,     /* the task's code panicked (a caught exception, an assertion) */
    CLCN_REFUSED = 5    /* not accepted: unknown task, not initialized, shutting down; no complete follows */
};

/* What output holds when the status is CLCN_OK. */
enum {
    CLCN_OUTPUT_WHOLE = 0, /* the whole new set of values, {"key": value}; a key left out is removed */
    CLCN_OUTPUT_DELTA = 1  /* only the changes, {"set": {"key": value}, "unset": ["key"]} */
};

/* The question of fetch. */
enum {
    CLCN_FETCH_VALUE = 0,  /* the visible value of key; with a task, what that task wrote under it */
    CLCN_FETCH_WRITER = 1, /* whether key has a visible value, and the task that wrote it; the value is empty */
    CLCN_FETCH_KEYS = 2,   /* a JSON array of the keys with a visible value; with a task, of those that it wrote */
    CLCN_FETCH_ALL = 3     /* the whole context, as a package gets it that does not fetch */
};

/* The answer of fetch. */
enum {
    CLCN_FOUND = 1,      /* take was called, once */
    CLCN_ABSENT = 0,     /* there is no such value */
    CLCN_GONE = -1,      /* the call is not or no longer known: complete it, the result is ignored */
    CLCN_TOO_LARGE = -2, /* larger than the limit of a call (64 MiB) */
    CLCN_UNKNOWN = -3    /* the host does not know the question */
};

/* The features of a package, in its table. */
#define CLCN_FEATURE_FETCH ((uint64_t)1) /* it fetches values that its contexts leave out */

/* Levels of log lines. */
enum { CLCN_ERROR = 1, CLCN_WARN = 2, CLCN_INFO = 3, CLCN_DEBUG = 4, CLCN_TRACE = 5 };

/* Borrowed bytes; ptr may be null when len is 0. */
typedef struct {
    const uint8_t *ptr;
    size_t len;
} clcn_bytes;

/* How an attempt ended. Start from CLCN_RESULT_INIT. */
typedef struct {
    uint32_t size;           /* sizeof(clcn_result) */
    int32_t status;          /* CLCN_OK and so on */
    uint32_t output_kind;    /* CLCN_OUTPUT_WHOLE or CLCN_OUTPUT_DELTA */
    uint32_t retry_after_ms; /* with CLCN_RETRY: the requested wait, 0 for none; not read if retry_after_us is set */
    clcn_bytes output;       /* JSON: what the task produced, or with an error its details (may be empty) */
    clcn_bytes error_code;   /* with an error: a short stable name, snake_case */
    clcn_bytes error_message;/* with an error: what happened, for people */
    uint64_t cpu_ns;         /* since 1.1: the CPU time of this call in nanoseconds, 0 if it is not known */
    uint64_t retry_after_us; /* since 1.2, with CLCN_RETRY: the wait in microseconds, 0 if retry_after_ms counts */
} clcn_result;

/* Receives the answer of fetch: JSON, and the task that wrote it, empty for the run's input. Both are lent until it
 * returns. */
typedef void (*clcn_take)(void *user, clcn_bytes value, clcn_bytes writer);

/* The functions of the host. Valid and at the same address until shutdown returns; all functions may be called from any
 * thread, with ctx as their first argument. */
typedef struct {
    uint32_t size;      /* sizeof(clcn_host_v1) of the host */
    uint32_t abi_minor; /* the host's minor version */
    void *ctx;
    /* The most verbose level that is wanted, 0 to 5. It changes at any time: check it before you format. */
    const volatile uint32_t *max_log_level;
    /* Ends a call: exactly once for each start that returned CLCN_OK, from any thread, also from inside of start. */
    void (*complete)(void *ctx, uint64_t call_id, const clcn_result *result);
    /* Takes a log line of a call; call 0 is the package as a whole. fields_json is a JSON object or empty. */
    void (*log)(void *ctx, uint64_t call_id, uint32_t level, clcn_bytes target, clcn_bytes message,
                clcn_bytes fields_json);
    /* Takes a heartbeat: progress in thousandths, and a note that may be empty. */
    void (*heartbeat)(void *ctx, uint64_t call_id, uint32_t permille, clcn_bytes note);
    /* Not 0 if the call should stop, or is not or no longer known. */
    int32_t (*is_cancelled)(void *ctx, uint64_t call_id);
    /* Since 1.1: from when this returns, the text is redacted in the log lines, errors and notes of the call's run, and in
     * the output of a package in a separate process. Pass a secret before you use it. This may wait for the engine for a
     * moment. Texts of less than 4 bytes are not redacted; the reference lists the other limits. */
    void (*secret)(void *ctx, uint64_t call_id, clcn_bytes text);
    /* Since 1.2: fetches a part of the call's context during the call. task and key may be empty. take is called with user
     * before fetch returns, on the same thread, and only if the value exists. This may wait for the engine for a moment.
     * A package with CLCN_FEATURE_FETCH in its table gets contexts that leave out large values and long lists of keys, and
     * are marked as partial; all other packages get whole contexts and do not need this function. */
    int32_t (*fetch)(void *ctx, uint64_t call_id, uint32_t what, clcn_bytes task, clcn_bytes key, void *user,
                     clcn_take take);
} clcn_host_v1;

/* One attempt at a task, or one call of a callback. */
typedef struct {
    uint32_t size;             /* sizeof(clcn_start) of the host */
    uint32_t task;             /* the "index" of the task or callback in the description */
    uint64_t call_id;          /* never 0, never used twice */
    uint64_t deadline_unix_ms; /* when the attempt reaches its timeout; 0 for never */
    uint32_t attempt;          /* counts from 1 */
    uint32_t encoding;         /* of context; 0 is JSON. Refuse unknown ones. */
    /* {"values": {key: value}, "producer": {key: task}, "from": {task: {key: value}}}; with CLCN_FEATURE_FETCH maybe
     * "partial": true, some values are left out, and "hidden": true, from is left out. */
    clcn_bytes context;
    clcn_bytes trace_parent;   /* W3C traceparent, or empty */
    clcn_bytes idempotency_key;/* the same for all attempts at this task of this run: a service that performs one request for
                                  each key acts once. A callback has its own key. */
    clcn_bytes attempt_key;    /* since 1.2: a different key for each attempt */
} clcn_start;

/* The header of a record in the section "cloacina"; json_len bytes of JSON follow. Each record starts at a multiple of
 * 8 bytes from the start of the section. CLCN_METADATA writes one. */
typedef struct {
    uint8_t magic[8]; /* CLCNPKG1, without a zero */
    uint32_t format;  /* CLCN_DESCRIPTOR_FORMAT */
    uint32_t json_len;
} clcn_metadata;

/* The functions of the package. Valid and unchanged for the life of the process. */
typedef struct {
    uint32_t size;       /* sizeof(clcn_package_v1) */
    uint32_t abi_minor;  /* CLCN_ABI_MINOR */
    clcn_bytes metadata; /* all records, as in the section */
    /* Called once before anything else, again only after shutdown. Keep host. config_json: {"workers": n}, the number
     * of threads you should use for tasks, 0 for one per core; ignore unknown members. Returns CLCN_OK or refuses. */
    int32_t (*init)(const clcn_host_v1 *host, clcn_bytes config_json);
    /* Accepts an attempt with CLCN_OK, after which complete follows exactly once; or refuses it with CLCN_REFUSED.
     * Any thread, many at a time. */
    int32_t (*start)(const clcn_start *call);
    /* Asks a call to stop soon, by completing it with CLCN_CANCELLED or with its result. Any thread; an unknown call
     * is ignored. May be null. */
    void (*cancel)(uint64_t call_id);
    /* Ends all calls within grace_ms; no function of the host is called after it returned. May be null. */
    int32_t (*shutdown)(uint32_t grace_ms);
    uint64_t features; /* since 1.2: what the package can do, CLCN_FEATURE_FETCH or 0 */
} clcn_package_v1;

#if defined(_WIN32)
#define CLCN_EXPORT __declspec(dllexport)
#else
#define CLCN_EXPORT __attribute__((visibility("default")))
#endif

/* The one exported function. CLCN_PACKAGE writes it. */
CLCN_EXPORT const clcn_package_v1 *cloacina_package_v1(void);

/* Bytes of a string literal. */
#ifdef __cplusplus
#define CLCN_TEXT(literal) (clcn_bytes{(const uint8_t *)(literal), sizeof(literal) - 1})
#else
#define CLCN_TEXT(literal) ((clcn_bytes){(const uint8_t *)(literal), sizeof(literal) - 1})
#endif

/* An empty result with status CLCN_OK that changes nothing. */
#define CLCN_RESULT_INIT                                                                                               \
    { sizeof(clcn_result), CLCN_OK, CLCN_OUTPUT_DELTA, 0, {0, 0}, {0, 0}, {0, 0}, 0, 0 }

#if defined(__APPLE__)
#define CLCN_SECTION __attribute__((used, section("__DATA,cloacina"), aligned(8)))
#elif defined(_MSC_VER)
#pragma section("clcn", read)
#define CLCN_SECTION __declspec(allocate("clcn")) __declspec(align(8))
#else
#define CLCN_SECTION __attribute__((used, section("cloacina"), aligned(8)))
#endif

/* Puts the description, one string literal of JSON, into the section. Once per library, at file scope. */
#define CLCN_METADATA(json)                                                                                            \
    static const struct {                                                                                              \
        clcn_metadata header;                                                                                          \
        char json_text[sizeof(json)];                                                                                  \
    } clcn_record CLCN_SECTION = {                                                                                     \
        {{'C', 'L', 'C', 'N', 'P', 'K', 'G', '1'}, CLCN_DESCRIPTOR_FORMAT, sizeof(json) - 1}, json}

/* Exports the package. After CLCN_METADATA, in the same file; cancel and shutdown may be 0. */
#define CLCN_PACKAGE(init_fn, start_fn, cancel_fn, shutdown_fn)                                                        \
    CLCN_PACKAGE_WITH(init_fn, start_fn, cancel_fn, shutdown_fn, 0)

/* The same with features. */
#define CLCN_PACKAGE_WITH(init_fn, start_fn, cancel_fn, shutdown_fn, package_features)                                 \
    const clcn_package_v1 *cloacina_package_v1(void) {                                                                 \
        static const clcn_package_v1 table = {sizeof(clcn_package_v1),                                                 \
                                              CLCN_ABI_MINOR,                                                          \
                                              {(const uint8_t *)&clcn_record, sizeof(clcn_record)},                    \
                                              init_fn,                                                                 \
                                              start_fn,                                                                \
                                              cancel_fn,                                                               \
                                              shutdown_fn,                                                             \
                                              package_features};                                                       \
        return &table;                                                                                                 \
    }                                                                                                                  \
    CLCN_EXPORT extern const clcn_package_v1 *cloacina_package_v1(void)

#ifdef __cplusplus
}
#endif

#endif
