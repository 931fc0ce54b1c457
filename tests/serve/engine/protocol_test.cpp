// SPDX-License-Identifier: Apache-2.0
#include "protocol.h"

#include <gtest/gtest.h>

#include <random>

#include "frames.h"
#include "mhub/base/bytes.h"

namespace mhub::engine::test {
namespace {

std::span<const std::byte> payload_of(const std::string& bytes) {
  return {reinterpret_cast<const std::byte*>(bytes.data()) + 4, bytes.size() - 4};
}

TEST(Protocol, EveryFrameComesBackAsItWas) {
  for (const Frame& frame : sample_frames()) {
    std::string bytes;
    append_frame(frame, bytes);
    EXPECT_EQ(load_le<uint32_t>(bytes.data()), bytes.size() - 4);
    const auto decoded = decode_frame(payload_of(bytes));
    ASSERT_TRUE(decoded) << frame.index() << ": " << decoded.error().message;
    EXPECT_EQ(decoded->index(), frame.index());
    std::string again;
    append_frame(*decoded, again);
    EXPECT_EQ(again, bytes) << frame.index();
  }
}

TEST(Protocol, FieldsArriveInTheirPlaces) {
  const auto frames = sample_frames();
  std::string bytes;
  append_frame(frames[3], bytes);
  const auto submit = std::get<SubmitFrame>(*decode_frame(payload_of(bytes)));
  EXPECT_EQ(submit.id, 77u);
  EXPECT_EQ(submit.request.prompt, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(submit.request.cache_scope, "scope");
  EXPECT_EQ(submit.request.params.logit_bias[1], (std::pair<int32_t, float>{6, 2.5f}));
  EXPECT_EQ(submit.request.params.bad_words, (std::vector<std::vector<TokenId>>{{4, 5}, {6}}));
  EXPECT_EQ(submit.request.constraint, (constraint::Spec{constraint::Spec::Kind::kRegex, "a+", false, true, " "}));
  bytes.clear();
  append_frame(frames[5], bytes);
  const auto step = std::get<StepFrame>(*decode_frame(payload_of(bytes)));
  EXPECT_EQ(step.stats.last_step_age_seconds, 1.5);
  EXPECT_EQ(step.deltas[0].delta.prompt_logprobs[0].top[0].token, 8);
  EXPECT_EQ(step.deltas[1].delta.error->code, ErrorCode::kDevice);
}

TEST(Protocol, TheStepOfTheWorkerIsAStepFrame) {
  const auto step = std::get<StepFrame>(sample_frames()[5]);
  std::string direct, through_frame;
  append_step_frame(step.stats, step.deltas, direct);
  append_frame(step, through_frame);
  EXPECT_EQ(direct, through_frame);
}

TEST(Protocol, EveryCutAndEveryExtraByteIsAnError) {
  for (const Frame& frame : sample_frames()) {
    std::string bytes;
    append_frame(frame, bytes);
    const auto whole = payload_of(bytes);
    for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(decode_frame(whole.first(size))) << frame.index();
    bytes.push_back('\0');
    EXPECT_FALSE(decode_frame(payload_of(bytes)));
  }
}

TEST(Protocol, CountsBeyondTheBytesAllocateNothing) {
  std::string bytes;
  append_frame(SubmitFrame{1, {}}, bytes);
  store_le(bytes.data() + 4 + 1 + 8, uint32_t{0xffffffff});  // the prompt's count
  EXPECT_FALSE(decode_frame(payload_of(bytes)));
}

TEST(Protocol, ImpossibleValuesAreErrors) {
  auto step = std::get<StepFrame>(sample_frames()[5]);
  step.deltas[0].delta.finish = static_cast<FinishReason>(17);
  std::string bytes;
  append_frame(step, bytes);
  EXPECT_FALSE(decode_frame(payload_of(bytes)));
  bytes.clear();
  append_frame(FaultFrame{{static_cast<ErrorCode>(999), "", "", ""}}, bytes);
  EXPECT_FALSE(decode_frame(payload_of(bytes)));
  const std::byte unknown[] = {std::byte{200}};
  EXPECT_FALSE(decode_frame(unknown));
}

TEST(Protocol, EveryErrorCodePasses) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kHeaderTooLarge); ++code) {
    std::string bytes;
    append_frame(FaultFrame{{static_cast<ErrorCode>(code), "m", "h", "p"}}, bytes);
    const auto decoded = decode_frame(payload_of(bytes));
    ASSERT_TRUE(decoded) << error_info(static_cast<ErrorCode>(code)).name << ": " << decoded.error().message;
    EXPECT_EQ(std::get<FaultFrame>(*decoded).error.code, static_cast<ErrorCode>(code));
  }
}

// What decodes after random damage must encode again: nothing half-read gets through. (tests/fuzz goes deeper.)
TEST(Protocol, RandomDamageNeverCrashes) {
  std::mt19937 random(7);
  int survived = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    const auto frames = sample_frames();
    append_frame(frames[random() % frames.size()], bytes);
    for (uint32_t flips = 1 + random() % 3; flips > 0 && bytes.size() > 5; --flips) {
      bytes[4 + random() % (bytes.size() - 4)] = static_cast<char>(random());
    }
    const auto decoded = decode_frame(payload_of(bytes));
    if (!decoded) continue;
    std::string again;
    append_frame(*decoded, again);
    EXPECT_EQ(again.size(), bytes.size());
    ++survived;
  }
  EXPECT_GT(survived, 100);
}

}  // namespace
}  // namespace mhub::engine::test
