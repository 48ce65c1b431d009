// A package in C++20: counts the words of a text. Nothing but cloacina.h and the standard library is needed.
//
// The header is C, and what C++ adds is of use on this side of it alone:
//
//   a task      is a function that returns its output, or throws; no exception gets past `run`
//   a call      is a jthread, and `cancel` is its stop token
//   the host    is behind a lock that many may share, and that `shutdown` takes for itself, so no thread uses it after
#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "cloacina.h"

CLCN_METADATA(
    R"({"format":1,"abi":"1.1","package":"cpp_words","version":"0.1.0","author":"The Cloacina authors",)"
    R"("description":"Counts the words of a text, in C++","workflows":[{"name":"count","tasks":[)"
    R"({"id":"split","index":0,"description":"Splits the text into words."},)"
    R"({"id":"tally","index":1,"dependencies":["split"],"retry":{"attempts":2,"backoff":"fixed","delay_ms":1},)"
    R"("description":"Counts how often each word is there."},)"
    R"({"id":"report","index":2,"dependencies":["tally"],"description":"Leaves the result and nothing else."}]}]})");

namespace {

clcn_bytes lend(std::string_view text) { return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()}; }

std::string copy(clcn_bytes bytes) { return {reinterpret_cast<const char *>(bytes.ptr), bytes.len}; }

/// How a task says that it failed.
struct Failure : std::exception {
    Failure(std::int32_t status, std::string code, std::string message, std::uint32_t retry_after_ms = 0)
        : status(status), retry_after_ms(retry_after_ms), code(std::move(code)), message(std::move(message)) {}
    const char *what() const noexcept override { return message.c_str(); }

    std::int32_t status;
    std::uint32_t retry_after_ms;
    std::string code, message;
};

/// What a task gave back.
struct Output {
    std::uint32_t kind;
    std::string json;
};

/// The host, for as long as it may be called.
class Host {
  public:
    void open(const clcn_host_v1 *given) {
        std::unique_lock alone(door);
        table = given;
    }

    /// Waits for the threads that are inside; no thread enters after that.
    void close() { open(nullptr); }

    template <typename Use> void use(Use &&with) {
        std::shared_lock inside(door);
        if (table != nullptr) with(*table);
    }

  private:
    std::shared_mutex door;
    const clcn_host_v1 *table = nullptr;
};

/// One attempt, with copies of what the host lent.
struct Call {
    Host &host;
    std::uint64_t id;
    std::uint32_t task, attempt;
    std::string context;
    std::stop_token stop;

    void log(std::uint32_t level, std::string_view message, std::string_view fields_json = {}) const {
        host.use([&](const clcn_host_v1 &table) {
            if (*table.max_log_level >= level)
                table.log(table.ctx, id, level, lend("cpp_words"), lend(message), lend(fields_json));
        });
    }

    void heartbeat(std::uint32_t permille) const {
        host.use([&](const clcn_host_v1 &table) { table.heartbeat(table.ctx, id, permille, {nullptr, 0}); });
    }

    void complete(const clcn_result &result) const {
        host.use([&](const clcn_host_v1 &table) { table.complete(table.ctx, id, &result); });
    }

    /// The way out of a task that is asked to stop.
    void go_on_or_stop() const {
        if (stop.stop_requested()) throw Failure(CLCN_CANCELLED, "cancelled", "stopped between two words");
    }

    void pause(std::chrono::milliseconds time) const {
        std::mutex mutex;
        std::unique_lock lock(mutex);
        std::condition_variable_any().wait_for(lock, stop, time, [] { return false; });
        go_on_or_stop();
    }

    /// The text behind "key": in the context, letter by letter. Enough for an example; real work takes a JSON library.
    std::optional<std::string> text(std::string_view key) const {
        const std::string quoted = "\"" + std::string(key) + "\":\"";
        auto place = context.find(quoted);
        if (place == std::string::npos) return std::nullopt;
        std::string found;
        for (place += quoted.size(); place < context.size() && context[place] != '"'; ++place) {
            if (context[place] != '\\') found += context[place];
            else if (++place < context.size()) found += context[place] == '"' || context[place] == '\\' ? context[place] : ' ';
        }
        return found;
    }

    long number(std::string_view key, long otherwise) const {
        const std::string quoted = "\"" + std::string(key) + "\":";
        const auto place = context.find(quoted);
        if (place == std::string::npos) return otherwise;
        long found = otherwise;
        std::from_chars(context.data() + place + quoted.size(), context.data() + context.size(), found);
        return found;
    }
};

bool is_letter(char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
}

Output split(const Call &call) {
    const auto text = call.text("text");
    if (!text) throw Failure(CLCN_FAILED, "no_text", "the input has no text");
    std::string words;
    std::size_t n_words = 0;
    for (auto from = std::find_if(text->begin(), text->end(), is_letter); from != text->end();) {
        const auto to = std::find_if_not(from, text->end(), is_letter);
        std::transform(from, to, std::back_inserter(words), [](char letter) { return static_cast<char>(letter | 0x20); });
        words += ' ';
        ++n_words;
        from = std::find_if(to, text->end(), is_letter);
    }
    call.log(CLCN_INFO, "split", "{\"words\":" + std::to_string(n_words) + "}");
    return {CLCN_OUTPUT_DELTA, "{\"set\":{\"words\":\"" + words + "\"}}"};
}

Output tally(const Call &call) {
    if (static_cast<long>(call.attempt) <= call.number("busy", 0))
        throw Failure(CLCN_RETRY, "busy", "all counters are taken", 20);
    const auto words = call.text("words").value();
    const std::chrono::milliseconds word_time(call.number("word_ms", 0));
    std::map<std::string, int> counts;
    for (std::size_t from = 0; from < words.size();) {
        const auto to = words.find(' ', from);
        ++counts[words.substr(from, to - from)];
        from = to + 1;
        call.heartbeat(static_cast<std::uint32_t>(1000 * from / words.size()));
        call.pause(word_time);
    }
    std::string json;
    for (const auto &[word, count] : counts) {
        json += json.empty() ? "" : ",";
        json += "\"" + word + "\":" + std::to_string(count);
    }
    return {CLCN_OUTPUT_DELTA, "{\"set\":{\"counts\":{" + json + "},\"n_different\":" + std::to_string(counts.size()) + "}}"};
}

/// The whole new set of values: whatever is not in it is gone.
Output report(const Call &call) {
    // A text without words was not thought of here: `at` throws, and the attempt ends as a panic with what it says.
    const char first = call.text("words").value().at(0);
    const auto different = std::to_string(call.number("n_different", 0));
    return {CLCN_OUTPUT_WHOLE, "{\"report\":\"" + different + " different words, from " + first + " on\"}"};
}

constexpr Output (*tasks[])(const Call &) = {split, tally, report};

/// Runs a task to its one completion. Nothing is thrown out of here.
void run(const Call &call) {
    const auto fail = [&](std::int32_t status, std::uint32_t retry_after_ms, std::string_view code, std::string_view message) {
        clcn_result result = CLCN_RESULT_INIT;
        result.status = status;
        result.retry_after_ms = retry_after_ms;
        result.error_code = lend(code);
        result.error_message = lend(message);
        call.complete(result);
    };
    try {
        const Output output = tasks[call.task](call);
        clcn_result result = CLCN_RESULT_INIT;
        result.output_kind = output.kind;
        result.output = lend(output.json);
        call.complete(result);
    } catch (const Failure &failure) {
        fail(failure.status, failure.retry_after_ms, failure.code, failure.message);
    } catch (const std::exception &error) {
        fail(CLCN_PANIC, 0, "panicked", error.what());
    } catch (...) {
        fail(CLCN_PANIC, 0, "panicked", "something else than an exception was thrown");
    }
}

/// All calls under way, each a thread.
class Calls {
  public:
    void open(const clcn_host_v1 *given) {
        std::lock_guard lock(mutex);
        host.open(given);
        is_open = true;
    }

    bool start(const clcn_start &asked) {
        auto ended = take_ended();
        std::lock_guard lock(mutex);
        if (!is_open) return false;
        // However short the task is, its end waits at the lock until it is in the table.
        std::jthread thread([this, call = Call{host, asked.call_id, asked.task, asked.attempt, copy(asked.context), {}}](
                                std::stop_token stop) mutable {
            call.stop = std::move(stop);
            run(call);
            end(call.id);
        });
        under_way.emplace(asked.call_id, std::move(thread));
        return true;
    }

    void cancel(std::uint64_t id) {
        std::lock_guard lock(mutex);
        if (const auto found = under_way.find(id); found != under_way.end()) found->second.request_stop();
    }

    void close(std::chrono::milliseconds grace) {
        {
            std::unique_lock lock(mutex);
            is_open = false;
            for (auto &[id, thread] : under_way) thread.request_stop();
            n_changed.wait_for(lock, grace, [this] { return under_way.empty(); });
            // Threads that do not stop are abandoned, without a host.
            for (auto &[id, thread] : under_way) thread.detach();
            under_way.clear();
        }
        host.close();
        take_ended();
    }

  private:
    /// A thread cannot wait for its own end, so it leaves that to the next thread.
    void end(std::uint64_t id) {
        std::lock_guard lock(mutex);
        if (const auto found = under_way.find(id); found != under_way.end()) {
            ended.push_back(std::move(found->second));
            under_way.erase(found);
        }
        n_changed.notify_all();
    }

    std::list<std::jthread> take_ended() {
        std::lock_guard lock(mutex);
        return std::exchange(ended, {});
    }

    Host host;
    std::mutex mutex;
    std::condition_variable n_changed;
    std::map<std::uint64_t, std::jthread> under_way;
    std::list<std::jthread> ended;
    bool is_open = false;
};

/// Never destroyed: at the end of the process there may still be threads that use it.
Calls &calls = *new Calls;

std::int32_t init(const clcn_host_v1 *given, clcn_bytes) {
    if (given->size < sizeof(clcn_host_v1)) return CLCN_REFUSED;
    calls.open(given);
    return CLCN_OK;
}

std::int32_t start(const clcn_start *asked) try {
    if (asked->size < sizeof(clcn_start) || asked->encoding != 0 || asked->task >= std::size(tasks)) return CLCN_REFUSED;
    return calls.start(*asked) ? CLCN_OK : CLCN_REFUSED;
} catch (const std::exception &) {
    return CLCN_REFUSED;
}

void cancel(std::uint64_t call_id) { calls.cancel(call_id); }

std::int32_t shutdown(std::uint32_t grace_ms) {
    calls.close(std::chrono::milliseconds(grace_ms));
    return CLCN_OK;
}

} // namespace

CLCN_PACKAGE(init, start, cancel, shutdown);
