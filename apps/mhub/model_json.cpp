// SPDX-License-Identifier: Apache-2.0
#include "model_json.h"

#include <algorithm>

namespace mhub::apps {

std::string verified_at(const registry::ModelRecord& model) {
  const auto oldest = std::min_element(model.files.begin(), model.files.end(),
                                       [](const auto& a, const auto& b) { return a.verified_at < b.verified_at; });
  return oldest == model.files.end() ? model.verified_at : oldest->verified_at;
}

Json model_json(const registry::ModelRecord& model) {
  const std::string verified = verified_at(model);
  return {{"name", model.name},
          {"source", model.source},
          {"revision", model.revision},
          {"commit", model.commit},
          {"path", model.path},
          {"bytes", model.total_bytes()},
          {"files", model.files.empty() ? model.num_files : model.files.size()},
          {"format", model.format},
          {"quantization", model.quantization},
          {"architecture", model.architecture},
          {"aliases", model.aliases},
          {"complete", model.complete},
          {"pinned", model.pinned},
          {"verified", verified.empty() ? Json() : Json(verified)}};
}

}  // namespace mhub::apps
