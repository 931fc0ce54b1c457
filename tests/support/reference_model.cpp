// SPDX-License-Identifier: Apache-2.0
#include "support/reference_model.h"

#include <algorithm>
#include <cmath>

namespace mhub::test {
namespace {

using Vector = std::vector<double>;
using Tensors = std::map<std::string, TinyTensor>;

Vector times(const Tensors& tensors, const std::string& module, const Vector& x) {
  const TinyTensor& weight = tensors.at(module + ".weight");
  Vector y(static_cast<size_t>(weight.shape[0]));
  for (size_t row = 0; row < y.size(); ++row) {
    for (size_t col = 0; col < x.size(); ++col)
      y[row] += static_cast<double>(weight.values[row * x.size() + col]) * x[col];
  }
  const auto bias = tensors.find(module + ".bias");
  if (bias != tensors.end()) {
    for (size_t row = 0; row < y.size(); ++row) y[row] += static_cast<double>(bias->second.values[row]);
  }
  return y;
}

Vector normed(const Tensors& tensors, const std::string& module, const Vector& x) {
  const TinyTensor& weight = tensors.at(module + ".weight");
  double squares = 0;
  for (const double v : x) squares += v * v;
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + 1e-6);
  Vector y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * scale * static_cast<double>(weight.values[i]);
  return y;
}

// Split-half rotation of each head.
void rotate(Vector& x, size_t head_dim, size_t position, const Vector& inv_freq, double factor) {
  for (size_t head = 0; head < x.size(); head += head_dim) {
    for (size_t i = 0; i < inv_freq.size(); ++i) {
      const double angle = static_cast<double>(position) * inv_freq[i];
      const double c = std::cos(angle) * factor, s = std::sin(angle) * factor;
      const double a = x[head + i], b = x[head + i + inv_freq.size()];
      x[head + i] = a * c - b * s;
      x[head + i + inv_freq.size()] = b * c + a * s;
    }
  }
}

}  // namespace

std::vector<std::vector<double>> reference_logits(const TinyModelOptions& o, const Tensors& tensors,
                                                  std::span<const int32_t> tokens, std::vector<double> inv_freq,
                                                  double rope_factor) {
  const auto dim = static_cast<size_t>(o.head_dim), hidden = static_cast<size_t>(o.hidden_size);
  const auto heads = static_cast<size_t>(o.num_attention_heads), kv_heads = static_cast<size_t>(o.num_key_value_heads);
  if (inv_freq.empty()) {
    for (size_t i = 0; i < dim / 2; ++i)
      inv_freq.push_back(1.0 / std::pow(o.rope_theta, static_cast<double>(2 * i) / static_cast<double>(dim)));
  }
  const auto layers = static_cast<size_t>(o.num_hidden_layers);
  std::vector<std::vector<Vector>> keys(layers), values(layers);
  std::vector<Vector> logits;
  for (size_t position = 0; position < tokens.size(); ++position) {
    const TinyTensor& embedding = tensors.at("model.embed_tokens.weight");
    const auto first = embedding.values.begin() + static_cast<std::ptrdiff_t>(hidden) * tokens[position];
    Vector h(first, first + static_cast<std::ptrdiff_t>(hidden));
    for (size_t l = 0; l < layers; ++l) {
      const std::string layer = "model.layers." + std::to_string(l) + ".";
      const Vector x = normed(tensors, layer + "input_layernorm", h);
      Vector q = times(tensors, layer + "self_attn.q_proj", x), k = times(tensors, layer + "self_attn.k_proj", x);
      rotate(q, dim, position, inv_freq, rope_factor);
      rotate(k, dim, position, inv_freq, rope_factor);
      keys[l].push_back(k);
      values[l].push_back(times(tensors, layer + "self_attn.v_proj", x));
      Vector attended(heads * dim);
      for (size_t head = 0; head < heads; ++head) {
        const size_t kv = head / (heads / kv_heads) * dim;
        Vector scores;
        for (const Vector& key : keys[l]) {
          double dot = 0;
          for (size_t d = 0; d < dim; ++d) dot += q[head * dim + d] * key[kv + d];
          scores.push_back(dot / std::sqrt(static_cast<double>(dim)));
        }
        const double top = *std::max_element(scores.begin(), scores.end());
        double total = 0;
        for (double& score : scores) total += score = std::exp(score - top);
        for (size_t t = 0; t < scores.size(); ++t) {
          for (size_t d = 0; d < dim; ++d) attended[head * dim + d] += scores[t] / total * values[l][t][kv + d];
        }
      }
      const Vector projected = times(tensors, layer + "self_attn.o_proj", attended);
      for (size_t i = 0; i < hidden; ++i) h[i] += projected[i];
      const Vector y = normed(tensors, layer + "post_attention_layernorm", h);
      Vector gate = times(tensors, layer + "mlp.gate_proj", y);
      const Vector up = times(tensors, layer + "mlp.up_proj", y);
      for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1.0 + std::exp(-gate[i])) * up[i];
      const Vector down = times(tensors, layer + "mlp.down_proj", gate);
      for (size_t i = 0; i < hidden; ++i) h[i] += down[i];
    }
    const Vector last = normed(tensors, "model.norm", h);
    logits.push_back(times(tensors, o.tie_word_embeddings ? "model.embed_tokens" : "lm_head", last));
  }
  return logits;
}

}  // namespace mhub::test
