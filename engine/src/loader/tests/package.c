/* A package in C that follows the rules in some tasks and breaks them in others. The tests compile it with the header
 * that authors get, and with -D for what is to be wrong with the library as a whole. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cloacina.h"

#ifndef RECORD
#define RECORD JSON
#endif

CLCN_METADATA(RECORD);

static const clcn_host_v1 *host;
static int n_constructed, n_initialized;

__attribute__((constructor)) static void constructed(void) { n_constructed++; }

static int32_t init(const clcn_host_v1 *given, clcn_bytes config) {
    (void)config;
    host = given;
    n_initialized++;
#ifdef INIT_FAILS
    return n_initialized == 1 ? INIT_FAILS : CLCN_OK;
#else
    return CLCN_OK;
#endif
}

static void complete(uint64_t call_id, clcn_bytes output) {
    clcn_result result = CLCN_RESULT_INIT;
    result.output = output;
    host->complete(host->ctx, call_id, &result);
}

/* Gives the context back, as it came in, under the key "seen". */
static void echo(uint64_t call_id, const uint8_t *context, size_t len) {
    static const char head[] = "{\"set\":{\"seen\":";
    size_t n_head = sizeof(head) - 1;
    uint8_t *output = malloc(n_head + len + 2);
    memcpy(output, head, n_head);
    memcpy(output + n_head, context, len);
    memcpy(output + n_head + len, "}}", 2);
    complete(call_id, (clcn_bytes){output, n_head + len + 2});
    memset(output, 'x', n_head + len + 2);
    free(output);
}

struct job {
    uint64_t call_id;
    size_t len;
    uint8_t context[];
};

static void *work(void *given) {
    struct job *job = given;
    host->log(host->ctx, job->call_id, CLCN_INFO, CLCN_TEXT("worker"), CLCN_TEXT("echoing"), CLCN_TEXT("{\"n\":1}"));
    host->heartbeat(host->ctx, job->call_id, 500, CLCN_TEXT("half"));
    echo(job->call_id, job->context, job->len);
    free(job);
    return 0;
}

static int32_t echo_on_a_thread(const clcn_start *call) {
    struct job *job = malloc(sizeof(*job) + call->context.len);
    job->call_id = call->call_id;
    job->len = call->context.len;
    memcpy(job->context, call->context.ptr, call->context.len);
    pthread_t thread;
    if (pthread_create(&thread, 0, work, job) != 0) {
        free(job);
        return CLCN_REFUSED;
    }
    pthread_detach(thread);
    return CLCN_OK;
}

static int32_t start(const clcn_start *call) {
    static char counts[64];
    switch (call->task) {
    case 0:
        echo(call->call_id, call->context.ptr, call->context.len);
        return CLCN_OK;
    case 1:
        return echo_on_a_thread(call);
    case 2: /* Completes twice. */
        complete(call->call_id, CLCN_TEXT("{}"));
        complete(call->call_id, CLCN_TEXT("{\"set\":{\"second\":true}}"));
        return CLCN_OK;
    case 3: /* Answers garbage. */
        complete(call->call_id, CLCN_TEXT("\xff\xfe{{{"));
        return CLCN_OK;
    case 4: /* Never completes. */
        return CLCN_OK;
    case 5: /* Tells how often it was constructed and initialized. */
        strcpy(counts, "{\"set\":{\"constructed\":0,\"initialized\":0}}");
        strchr(counts, '0')[0] = (char)('0' + n_constructed);
        strrchr(counts, '0')[0] = (char)('0' + n_initialized);
        complete(call->call_id, (clcn_bytes){(const uint8_t *)counts, strlen(counts)});
        return CLCN_OK;
    default:
        return CLCN_REFUSED;
    }
}

#ifndef MINOR
#define MINOR CLCN_ABI_MINOR
#endif
#ifndef SIZE
#define SIZE sizeof(clcn_package_v1)
#endif

#ifndef NULL_TABLE
#define NULL_TABLE 0
#endif
#ifndef ENTRY
#define ENTRY cloacina_package_v1
#endif

const clcn_package_v1 *ENTRY(void) {
    static const clcn_package_v1 table = {
        SIZE, MINOR, {(const uint8_t *)&clcn_record, sizeof(clcn_record)}, init, start, 0, 0, 0,
    };
    return NULL_TABLE ? 0 : &table;
}
