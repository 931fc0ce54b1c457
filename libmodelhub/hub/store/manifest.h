// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/registry/registry.h"
#include "store/layout.h"

namespace mhub::hub {

// Beside the registry every row is kept once more, as manifests/<digest of its path>.json: what `registry rebuild`
// makes rows of, and how gc tells a model whose row was lost from a leftover.

// Puts the row: `publish` (files to their place), manifest, commit, in this order. The one way in for models.
Result<int64_t> record_model(registry::Registry& registry, const StoreLayout& layout,
                             const registry::ModelRecord& model, const std::function<Result<void>()>& publish = {});
// Writes the manifest of a row that has changed (alias, pin).
Result<void> write_manifest(const StoreLayout& layout, const registry::ModelRecord& model);
void remove_manifest(const StoreLayout& layout, const std::string& model_path);

// All that can be read, hostile text refused; `model.path` is where the row said.
Result<std::vector<registry::ModelRecord>> read_manifests(const StoreLayout& layout);
std::optional<registry::ModelRecord> read_manifest(const StoreLayout& layout, const std::string& model_path);
std::optional<registry::ModelRecord> parse_manifest(std::string_view text);
std::string manifest_text(const registry::ModelRecord& model);

}  // namespace mhub::hub
