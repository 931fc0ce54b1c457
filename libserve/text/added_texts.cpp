// SPDX-License-Identifier: Apache-2.0
#include "mhub/text/added_texts.h"

#include "pipeline_tokenizer.h"

namespace mhub::text {

bool for_each_added_text(const Tokenizer& tokenizer, bool first, const std::function<void(std::string_view)>& use) {
  const auto* pipeline = dynamic_cast<const PipelineTokenizer*>(&tokenizer);
  if (pipeline == nullptr || !pipeline->texts_are_fixed()) return false;
  for (TokenId id = 0; id < pipeline->vocab_size(); ++id) use(pipeline->added_text(id, first));
  return true;
}

}  // namespace mhub::text
