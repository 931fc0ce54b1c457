// SPDX-License-Identifier: Apache-2.0
// site.yaml, and the units that its services become.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "mhub/hub/site.h"

namespace {

auto lines_of(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

std::string plain_unit() {
  mhub::hub::SiteService service;
  service.model = "demo";
  service.unit = "demo";
  return *mhub::hub::service_unit(service, "/usr/bin/mhub", "/var/lib/mhub");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto site = mhub::hub::parse_site({reinterpret_cast<const char*>(data), size}, "site.yaml");
  if (!site) {
    if (site.error().message.find("site.yaml:") == std::string::npos) std::abort();  // every mistake has its line
    return 0;
  }
  for (const auto& model : site->models) {
    if (model.model.empty() || (model.quantize && model.quantize->name.empty())) std::abort();
  }
  for (const auto& service : site->services) {
    const auto unit = mhub::hub::service_unit(service, "/usr/bin/mhub", "/var/lib/mhub");
    if (!unit) continue;
    // One command: nothing that a site says may add a line to the unit.
    if (unit->find("\nExecStart=") != unit->rfind("\nExecStart=")) std::abort();
    if (lines_of(*unit) != lines_of(plain_unit())) std::abort();
  }
  return 0;
}
