/* The data-processing demonstration in plain C: collect_data -> process_data -> generate_report.
 *
 * Nothing but cloacina.h and the C library is needed; see README.md for the two commands that build and pack it. The
 * three tasks are marked as blocking, so the host starts each on a thread of its own and they may sleep and complete
 * inside of start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cloacina.h"

CLCN_METADATA(
    "{\"format\":1,\"abi\":\"1.2\",\"package\":\"c_demo\",\"version\":\"0.1.0\","
    "\"description\":\"Collects records, processes them and writes a report\",\"author\":\"The Cloacina authors\","
    "\"workflows\":[{\"name\":\"data_processing\",\"tasks\":["
    "{\"id\":\"collect_data\",\"index\":0,\"blocking\":true,\"retry\":{\"attempts\":2},"
    "\"description\":\"Collects the raw records from the source.\"},"
    "{\"id\":\"process_data\",\"index\":1,\"blocking\":true,\"retry\":{\"attempts\":3},"
    "\"dependencies\":[\"collect_data\"],\"description\":\"Turns the raw records into processed ones.\"},"
    "{\"id\":\"generate_report\",\"index\":2,\"blocking\":true,\"retry\":{\"attempts\":1},"
    "\"dependencies\":[\"process_data\"],\"description\":\"Sums everything up.\"}]}]}");

static const clcn_host_v1 *host;

static clcn_bytes text(const char *string) {
    clcn_bytes bytes = {(const uint8_t *)string, strlen(string)};
    return bytes;
}

static void log_info(const clcn_start *call, const char *message) {
    if (*host->max_log_level >= CLCN_INFO)
        host->log(host->ctx, call->call_id, CLCN_INFO, CLCN_TEXT("c_demo"), text(message), CLCN_TEXT(""));
}

/* Sleeps in short steps, so that a call that should stop does; 0 when it has to. */
static int sleep_ms(const clcn_start *call, int ms) {
    const struct timespec step = {0, 10 * 1000 * 1000};
    for (int slept = 0; slept < ms; slept += 10) {
        if (host->is_cancelled(host->ctx, call->call_id)) return 0;
        nanosleep(&step, NULL);
    }
    return 1;
}

static int32_t fail(const clcn_start *call, int32_t status, const char *code, const char *message) {
    clcn_result result = CLCN_RESULT_INIT;
    result.status = status;
    result.error_code = text(code);
    result.error_message = text(message);
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}

static int32_t succeed(const clcn_start *call, const char *delta) {
    clcn_result result = CLCN_RESULT_INIT;
    result.output = text(delta);
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}

/* The number behind "key": in the context, or -1. Enough for a demonstration; use a JSON library for real work. */
static long find_number(const clcn_start *call, const char *key) {
    long number = -1;
    char *context = malloc(call->context.len + 1);
    if (context == NULL) return number;
    memcpy(context, call->context.ptr, call->context.len);
    context[call->context.len] = 0;
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *found = strstr(context, quoted);
    if (found != NULL) number = strtol(found + strlen(quoted), NULL, 10);
    free(context);
    return number;
}

static void now_rfc3339(char *buffer, size_t size) {
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static int32_t collect_data(const clcn_start *call) {
    char now[32], delta[256];
    if (!sleep_ms(call, 100)) return fail(call, CLCN_CANCELLED, "cancelled", "asked to stop");
    now_rfc3339(now, sizeof now);
    snprintf(delta, sizeof delta,
             "{\"set\":{\"raw_data\":{\"records\":1000,\"source\":\"demo_database\",\"timestamp\":\"%s\"}}}", now);
    log_info(call, "collected");
    return succeed(call, delta);
}

static int32_t process_data(const clcn_start *call) {
    char delta[256];
    long records = find_number(call, "records");
    if (records < 0) return fail(call, CLCN_FAILED, "validation_failed", "raw_data is missing");
    if (!sleep_ms(call, 200)) return fail(call, CLCN_CANCELLED, "cancelled", "asked to stop");
    snprintf(delta, sizeof delta,
             "{\"set\":{\"processed_data\":{\"processed_records\":950,\"original_count\":%ld,"
             "\"processing_time_ms\":200,\"status\":\"completed\"}}}",
             records);
    log_info(call, "processed");
    return succeed(call, delta);
}

static int32_t generate_report(const clcn_start *call) {
    char now[32], delta[512];
    long processed = find_number(call, "processed_records"), took = find_number(call, "processing_time_ms");
    if (processed < 0) return fail(call, CLCN_FAILED, "validation_failed", "processed_data is missing");
    if (!sleep_ms(call, 150)) return fail(call, CLCN_CANCELLED, "cancelled", "asked to stop");
    now_rfc3339(now, sizeof now);
    snprintf(delta, sizeof delta,
             "{\"set\":{\"final_report\":{\"report_id\":\"RPT_%lld\",\"summary\":{\"total_processed\":%ld,"
             "\"success_rate\":\"95%%\",\"processing_time\":%ld},\"generated_at\":\"%s\"}}}",
             (long long)time(NULL), processed, took, now);
    return succeed(call, delta);
}

static int32_t init(const clcn_host_v1 *given, clcn_bytes config_json) {
    (void)config_json;
    if (given->size < sizeof(clcn_host_v1)) return CLCN_REFUSED;
    host = given;
    return CLCN_OK;
}

static int32_t start(const clcn_start *call) {
    static int32_t (*const tasks[])(const clcn_start *) = {collect_data, process_data, generate_report};
    if (call->size < sizeof(clcn_start) || call->encoding != 0 || call->task >= 3) return CLCN_REFUSED;
    return tasks[call->task](call);
}

CLCN_PACKAGE(init, start, NULL, NULL);
