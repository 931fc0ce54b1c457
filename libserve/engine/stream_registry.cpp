// SPDX-License-Identifier: Apache-2.0
#include "stream_registry.h"

namespace mhub::engine {
namespace {

class ChannelStream final : public TokenStream {
 public:
  ChannelStream(RequestId id, std::shared_ptr<TokenChannel> channel, std::function<void(RequestId)> on_drop)
      : id_(id), channel_(std::move(channel)), on_drop_(std::move(on_drop)) {}
  ~ChannelStream() override {
    if (!channel_->finished()) on_drop_(id_);
  }
  ChannelStream(const ChannelStream&) = delete;
  ChannelStream& operator=(const ChannelStream&) = delete;
  std::optional<TokenDelta> next(std::chrono::milliseconds timeout) override { return channel_->pop(timeout); }

 private:
  RequestId id_;
  std::shared_ptr<TokenChannel> channel_;
  std::function<void(RequestId)> on_drop_;
};

}  // namespace

std::unique_ptr<TokenStream> StreamRegistry::open(RequestId id, std::function<void(RequestId)> on_drop) {
  auto channel = std::make_shared<TokenChannel>();
  {
    std::lock_guard lock(mutex_);
    open_.emplace(id, channel);
  }
  return std::make_unique<ChannelStream>(id, std::move(channel), std::move(on_drop));
}

void StreamRegistry::deliver(RequestId id, TokenDelta delta) {
  std::shared_ptr<TokenChannel> channel;
  {
    std::lock_guard lock(mutex_);
    const auto it = open_.find(id);
    if (it == open_.end()) return;
    channel = it->second;
    if (delta.finish) open_.erase(it);
  }
  channel->push(std::move(delta));
}

void StreamRegistry::close(RequestId id) {
  std::lock_guard lock(mutex_);
  open_.erase(id);
}

void StreamRegistry::fail_all(const Error& error) {
  std::unordered_map<RequestId, std::shared_ptr<TokenChannel>> failed;
  {
    std::lock_guard lock(mutex_);
    failed.swap(open_);
  }
  for (const auto& [id, channel] : failed) channel->push(error_delta(error));
}

size_t StreamRegistry::size() const {
  std::lock_guard lock(mutex_);
  return open_.size();
}

}  // namespace mhub::engine
