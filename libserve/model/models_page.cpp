// SPDX-License-Identifier: Apache-2.0
#include "models_page.h"

#include <fmt/format.h>

#include <array>

#include "architectures.h"

namespace mhub::model {
namespace {

struct FormatRow {
  std::string_view format, forms, checked;
};
constexpr auto kFormats = std::to_array<FormatRow>({
    {"safetensors", "F32, F16, BF16", "reference logits of 17 tiny models"},
    {"compressed-tensors",
     "pack-quantized (4 and 8 bits; actorder group is decoded to float32 at load), int-quantized (8 bits, symmetric), "
     "float-quantized; one config group",
     "logits of the same matrices written as floats; perplexity of copies as llm-compressor writes them"},
    {"fp8", "F8_E4M3 with one scale, one per row, or blocks of 128x128",
     "logits of the same matrices written as floats; perplexity of copies as AutoFP8 writes them"},
    {"gptq", "v1 and v2, 4 and 8 bits; desc_act (decoded to float32 at load)",
     "logits of the same matrices written as floats; perplexity of copies as AutoGPTQ and GPTQModel write them"},
    {"awq", "gemm, 4 bits",
     "logits of the same matrices written as floats; perplexity of copies as AutoAWQ writes them"},
    {"mxfp4", "gpt-oss's stacked experts, and their float form",
     "the float form by reference logits, the packed form by the float form"},
    {"GGUF", "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS, MXFP4; split files",
     "blocks by the gguf package; llama and gemma3 by real models; gemma2 by a tiny file that "
     "llama.cpp and transformers read alike, the others by the reference sets rewritten as float32 GGUF (neither is "
     "part "
     "of the tests)"},
});

}  // namespace

std::string models_page() {
  std::string page =
      "# Models\n\nWritten from the table that the code uses (`libserve/model/architectures.cpp`); a test keeps it "
      "true.\n"
      "Every architecture is compared with the float32 reference logits and greedy tokens of a tiny model of its kind "
      "on "
      "the CPU (in bfloat16, too), and gives the same bytes over HTTP alone, in a batch, in odd chunks, after "
      "preemptions and from cached prefixes.\n\n## Families\n| architecture | models | GGUF | checked besides |\n| --- "
      "| --- | --- | --- |\n";
  for (const Architecture& a : architectures())
    page += fmt::format("| {} | {} | `{}` | {} |\n", a.name, a.models, a.gguf, a.checked);
  page += "\n## Weights\n| format | forms | checked by |\n| --- | --- | --- |\n";
  for (const FormatRow& row : kFormats) page += fmt::format("| {} | {} | {} |\n", row.format, row.forms, row.checked);
  page +=
      "\n## Known limits\n- On CUDA, layers with a sliding window hold the blocks of the whole context where other "
      "layers of the model see all of it.\n- Weights in F8_E4M3 and reordered GPTQ are decoded on the fly, or at load, "
      "on the CPU: they are "
      "exact, "
      "not fast.\n- Multimodal wrappers (`Gemma3ForConditionalGeneration`) are not read; DeepSeek's prediction layers "
      "are "
      "skipped.\n";
  return page;
}

}  // namespace mhub::model
