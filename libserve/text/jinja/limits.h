// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace mhub::text::jinja {

enum class ErrorKind {
  kSyntax,     // the template does not compile
  kRaise,      // the template called raise_exception
  kUndefined,  // a missing name or attribute was used
  kType,       // an operation on values of the wrong kind
  kSecurity,   // something the sandbox refuses
  kRuntime,    // an unknown filter or test, a bad argument
  kLimit,      // steps, depth, loop turns or bytes are used up
};

// The one exception of the interpreter; it does not leave this folder's callers (ChatTemplate turns it into an Error).
struct TemplateError {
  ErrorKind kind;
  std::string message;
  int line = 0;  // 0: not known
};

[[noreturn]] inline void fail(ErrorKind kind, std::string message) {
  throw TemplateError{kind, std::move(message), 0};
}

// What one rendering may use up.
class Budget {
 public:
  struct Limits {
    size_t steps, loop_turns, depth, call_depth, text_bytes, output_bytes;
    std::chrono::milliseconds time;
  };
  explicit Budget(const Limits& limits) : limits_(limits), deadline_(Clock::now() + limits.time) {}

  void step(size_t n = 1) {
    take(steps_, n, limits_.steps, "steps");
    if (++calls_ % kCallsPerClock == 0 && Clock::now() > deadline_) {
      fail(ErrorKind::kLimit, "it took more than " + std::to_string(limits_.time.count()) + " ms");
    }
  }
  void loop_turn() { take(loop_turns_, 1, limits_.loop_turns, "loop turns"); }
  // Bytes of all strings made; called before they are. A single one may not pass the output limit.
  void text(size_t bytes) {
    if (bytes > limits_.output_bytes) fail(ErrorKind::kLimit, "a string is over the output limit");
    take(text_bytes_, bytes, limits_.text_bytes, "bytes of text");
  }
  size_t output_bytes() const { return limits_.output_bytes; }

  // One level of nesting, for the life of the object.
  class Level {
   public:
    Level(size_t& level, size_t limit, const char* what) : level_(level) {
      if (level_ >= limit) fail(ErrorKind::kLimit, std::string("more than ") + std::to_string(limit) + " " + what);
      ++level_;
    }
    ~Level() { --level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    size_t& level_;
  };
  Level evaluation() { return Level(depth_, limits_.depth, "nested expressions and blocks"); }
  Level call() { return Level(call_depth_, limits_.call_depth, "nested calls"); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kCallsPerClock = 64;

  void take(size_t& used, size_t n, size_t limit, const char* what) {
    if (n > limit - used) fail(ErrorKind::kLimit, std::string("more than ") + std::to_string(limit) + " " + what);
    used += n;
  }

  Limits limits_;
  Clock::time_point deadline_;
  size_t calls_ = 0;
  size_t steps_ = 0, loop_turns_ = 0, text_bytes_ = 0, depth_ = 0, call_depth_ = 0;
};

}  // namespace mhub::text::jinja
