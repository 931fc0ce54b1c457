// SPDX-License-Identifier: Apache-2.0
#include "answer.h"

#include "best_of.h"
#include "http_error.h"

namespace mhub::http {
namespace {

// Counts a request among the running ones as long as it lives.
class InFlight {
 public:
  explicit InFlight(std::atomic<int>& counter) : counter_(counter) { before_ = counter_++; }
  ~InFlight() { --counter_; }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  int before() const { return before_; }

 private:
  std::atomic<int>& counter_;
  int before_;
};

struct Job {
  explicit Job(ApiContext& the_context) : context(the_context), in_flight(the_context.in_flight) {}
  ApiContext& context;
  InFlight in_flight;
  GenerationFields fields;
  size_t num_prompts = 0;
  std::unique_ptr<AnswerFormat> format;
  std::unique_ptr<Generation> generation;
};

std::string event(const OrderedJson& data) {
  return "data: " + dump_json(data) + "\n\n";
}

void write_stream(Job& job, httpd::BodyWriter& body) {
  const auto send = [&](OrderedJson chunk, const Usage& usage) {
    if (job.fields.continuous_usage) chunk["usage"] = usage_json(usage);
    return body.write(event(chunk));
  };
  for (auto& chunk : job.format->opening_chunks()) {
    if (!send(std::move(chunk), {job.generation->usage().prompt_tokens, 0})) return;
  }
  const RunEnd end = job.generation->run(body, job.context.cut, [&](ChoiceDelta&& delta) {
    const Usage usage = job.generation->usage();
    auto chunk = job.format->chunk(std::move(delta));
    return !chunk || send(std::move(*chunk), usage);
  });
  if (end == RunEnd::kPeerGone) return;
  std::string tail;
  if (end == RunEnd::kFailed) {
    tail = event(error_body(job.generation->error()));
  } else if (job.fields.include_usage) {
    OrderedJson last = job.format->empty_chunk();
    last["usage"] = usage_json(job.generation->usage());
    tail = event(last);
  }
  body.write(tail + "data: [DONE]\n\n");
  job.generation.reset();  // its blocks are free before the client can ask again
}

httpd::Response write_whole(Job& job, const httpd::BodyWriter& peer) {
  std::optional<BestOf> best;
  if (job.fields.best_of > job.fields.n) best.emplace(job.num_prompts, job.fields);
  const RunEnd end = job.generation->run(peer, job.context.cut, [&](ChoiceDelta&& delta) {
    best ? best->collect(std::move(delta)) : job.format->collect(std::move(delta));
    return true;
  });
  if (end == RunEnd::kPeerGone) return error_response({ErrorCode::kInterrupted, "the client has gone", "", ""});
  if (end == RunEnd::kFailed) return error_response(job.generation->error());
  if (best) best->pass_on([&](ChoiceDelta&& choice) { job.format->collect(std::move(choice)); });
  return json_response(job.format->whole(job.generation->usage()));
}

}  // namespace

httpd::Response answer(ApiContext& context, const Generation::Plan& plan, std::unique_ptr<AnswerFormat> format,
                       const httpd::BodyWriter& peer) {
  auto job = std::make_shared<Job>(context);
  if (context.draining) {
    return error_response({ErrorCode::kUnavailable, "the server is shutting down", "", ""});
  }
  if (job->in_flight.before() >= context.config.max_concurrent_requests) {
    return error_response({ErrorCode::kOverloaded, "too many requests are being answered", "try again later", ""});
  }
  auto generation = Generation::start(*context.model.generator, context.metrics, plan);
  if (!generation) return error_response(generation.error());
  job->fields = plan.fields;
  job->num_prompts = plan.prompts.size();
  job->format = std::move(format);
  job->generation = std::move(*generation);
  if (!plan.fields.stream) return write_whole(*job, peer);
  httpd::Response response;
  response.headers = {{"Content-Type", "text/event-stream; charset=utf-8"}, {"Cache-Control", "no-cache"}};
  response.stream = [job](httpd::BodyWriter& body) { write_stream(*job, body); };
  return response;
}

}  // namespace mhub::http
