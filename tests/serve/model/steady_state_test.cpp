// SPDX-License-Identifier: Apache-2.0
// Once warm, step() asks the heap for its small result and nothing else. A program of its own: it counts operator new.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "serve/model/loaded.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace {
std::atomic<size_t> allocated{0};

void* counted(size_t bytes) {
  allocated += bytes;
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(size_t bytes) {
  return counted(bytes);
}
void* operator new[](size_t bytes) {
  return counted(bytes);
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete[](void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}
void operator delete[](void* p, size_t) noexcept {
  std::free(p);
}

namespace mhub::model {
namespace {

TEST(SteadyState, StepAllocatesItsResultOnly) {
  test::TempDir dir;
  test::TinyModelOptions tiny;
  tiny.vocab_size = 4096;
  test::write_tiny_model(dir.path(), tiny);
  for (const char* dtype : {"float32", "auto"}) {
    auto options = float32_options(dir.path());
    options.dtype = dtype;
    auto model = load(options);
    constexpr size_t kRows = 4;
    std::vector<Sequence> sequences(kRows);
    for (size_t i = 0; i < kRows; ++i) {
      sequences[i].blocks = block_table(*model, 400, static_cast<int32_t>(i), kRows);
      sequences[i].params.top_p = 0.9f;
      sequences[i].params.presence_penalty = 0.5f;
    }
    const std::vector<int32_t> token = {65};
    std::vector<StepRow> rows(kRows);
    size_t most = 0;
    for (int32_t position = 0; position < 300; ++position) {
      for (size_t i = 0; i < kRows; ++i) {
        rows[i].tokens = token;
        rows[i].first_position = position;
        rows[i].block_table = sequences[i].blocks;
        rows[i].sample = true;
        rows[i].params = &sequences[i].params;
        rows[i].output = token;
      }
      const size_t before = allocated;
      const auto results = model->step(rows);
      if (position >= 200) most = std::max(most, allocated - before);
      ASSERT_TRUE(results[0].token);
    }
    EXPECT_LE(most, 2 * kRows * sizeof(RowResult)) << dtype;
  }
}

}  // namespace
}  // namespace mhub::model
