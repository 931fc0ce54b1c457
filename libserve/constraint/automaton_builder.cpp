// SPDX-License-Identifier: Apache-2.0
#include "automaton_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/bytes.h"

namespace mhub::constraint {
namespace {

constexpr int kMaxEmitDepth = 1000;  // expressions in expressions; what is parsed is flatter

// Targets by node or rule.
class Lists {
 public:
  explicit Lists(size_t count) : lists_(count) {}
  void add(size_t key, uint32_t value) { lists_[key].push_back(value); }
  const std::vector<uint32_t>& operator[](size_t key) const { return lists_[key]; }

 private:
  std::vector<std::vector<uint32_t>> lists_;
};

}  // namespace

NodeId AutomatonBuilder::add_node() {
  if (num_nodes_ >= Automaton::kMaxNodes) {
    overflowed_ = true;
    return 0;
  }
  return static_cast<NodeId>(num_nodes_++);
}

void AutomatonBuilder::add_byte_edge(NodeId from, ByteRange bytes, NodeId to) {
  overflowed_ = overflowed_ || byte_edges_.size() >= Automaton::kMaxEdges;
  if (!full()) byte_edges_.push_back({from, to, bytes});
}

void AutomatonBuilder::add_empty_edge(NodeId from, NodeId to) {
  overflowed_ = overflowed_ || empty_edges_.size() >= Automaton::kMaxEdges;
  if (!full()) empty_edges_.push_back({from, to});
}

void AutomatonBuilder::emit(ExprId id, NodeId from, NodeId to, int depth) {
  if (depth > kMaxEmitDepth) overflowed_ = true;
  if (full()) return;
  const Grammar::Expr& expr = grammar_.expr(id);
  switch (expr.kind) {
    case Grammar::Kind::kBytes:
      return emit_bytes(expr.bytes, from, to);
    case Grammar::Kind::kChars:
      return emit_chars(expr.chars, from, to);
    case Grammar::Kind::kSequence:
      if (expr.parts.empty()) return add_empty_edge(from, to);
      for (size_t i = 0; i < expr.parts.size(); ++i) {
        const NodeId next = i + 1 == expr.parts.size() ? to : add_node();
        emit(expr.parts[i], from, next, depth + 1);
        from = next;
      }
      return;
    case Grammar::Kind::kChoice:
      for (const ExprId part : expr.parts) emit(part, from, to, depth + 1);
      return;
    case Grammar::Kind::kRepeat:
      return emit_repeat(expr, from, to, depth);
    case Grammar::Kind::kRule:
      overflowed_ = overflowed_ || calls_.size() >= Automaton::kMaxEdges;
      if (!full()) calls_.push_back({from, to, expr.rule});
      return;
  }
}

void AutomatonBuilder::emit_bytes(std::string_view bytes, NodeId from, NodeId to) {
  if (bytes.empty()) return add_empty_edge(from, to);
  for (size_t i = 0; i < bytes.size() && !full(); ++i) {
    const NodeId next = i + 1 == bytes.size() ? to : add_node();
    const auto byte = static_cast<uint8_t>(bytes[i]);
    add_byte_edge(from, {byte, byte}, next);
    from = next;
  }
}

void AutomatonBuilder::emit_chars(const CodePointSet& set, NodeId from, NodeId to) {
  Tails tails;
  for_each_utf8_sequence(set, [&](std::span<const ByteRange> sequence) {
    add_byte_edge(from, sequence.front(), tail_node(sequence.subspan(1), to, tails));
  });
}

// The node from which `rest` leads to `to`; equal rests share it.
NodeId AutomatonBuilder::tail_node(std::span<const ByteRange> rest, NodeId to, Tails& tails) {
  if (rest.empty()) return to;
  std::vector<ByteRange> key(rest.begin(), rest.end());
  const auto known = tails.find(key);
  if (known != tails.end()) return known->second;
  const NodeId node = add_node();
  add_byte_edge(node, rest.front(), tail_node(rest.subspan(1), to, tails));
  tails.emplace(std::move(key), node);
  return node;
}

void AutomatonBuilder::emit_repeat(const Grammar::Expr& repeat, NodeId from, NodeId to, int depth) {
  const ExprId body = repeat.parts.front();
  for (uint32_t i = 0; i < repeat.min && !full(); ++i) {
    const NodeId next = add_node();
    emit(body, from, next, depth + 1);
    from = next;
  }
  if (repeat.max == Grammar::kNoMax) {
    const NodeId loop = add_node();
    add_empty_edge(from, loop);
    emit(body, loop, loop, depth + 1);
    return add_empty_edge(loop, to);
  }
  for (uint32_t i = repeat.min; i < repeat.max && !full(); ++i) {
    const NodeId next = add_node();
    add_empty_edge(from, to);
    emit(body, from, next, depth + 1);
    from = next;
  }
  add_empty_edge(from, to);
}

std::vector<bool> AutomatonBuilder::find_productive() const {
  Lists before(num_nodes_), callers(starts_.size());
  for (const ByteEdge& edge : byte_edges_) before.add(edge.to, edge.from);
  for (const EmptyEdge& edge : empty_edges_) before.add(edge.to, edge.from);
  Lists calls_to(num_nodes_);  // calls that come back to a node
  for (size_t i = 0; i < calls_.size(); ++i) {
    calls_to.add(calls_[i].back, static_cast<uint32_t>(i));
    callers.add(calls_[i].rule, static_cast<uint32_t>(i));
  }
  std::vector<bool> productive(num_nodes_), rule_done(starts_.size());
  std::vector<RuleId> rule_of_start(num_nodes_, UINT32_MAX);
  for (size_t rule = 0; rule < starts_.size(); ++rule) rule_of_start[starts_[rule]] = static_cast<RuleId>(rule);
  std::vector<NodeId> work;
  const auto reach = [&](NodeId node) {
    if (productive[node]) return;
    productive[node] = true;
    work.push_back(node);
  };
  for (const NodeId end : ends_) reach(end);
  while (!work.empty()) {
    const NodeId node = work.back();
    work.pop_back();
    for (const NodeId from : before[node]) reach(from);
    for (const uint32_t call : calls_to[node]) {
      if (rule_done[calls_[call].rule]) reach(calls_[call].from);
    }
    const RuleId rule = rule_of_start[node];
    if (rule == UINT32_MAX) continue;
    rule_done[rule] = true;
    for (const uint32_t call : callers[rule]) {
      if (productive[calls_[call].back]) reach(calls_[call].from);
    }
  }
  return productive;
}

std::vector<bool> AutomatonBuilder::find_nullable() const {
  Lists empty_from(num_nodes_), calls_from(num_nodes_), waiting(starts_.size());
  for (const EmptyEdge& edge : empty_edges_) empty_from.add(edge.from, edge.to);
  for (size_t i = 0; i < calls_.size(); ++i) calls_from.add(calls_[i].from, static_cast<uint32_t>(i));
  std::vector<RuleId> rule_of_end(num_nodes_, UINT32_MAX);
  for (size_t rule = 0; rule < ends_.size(); ++rule) rule_of_end[ends_[rule]] = static_cast<RuleId>(rule);
  std::vector<bool> nullable(starts_.size()), reached(num_nodes_);
  std::vector<NodeId> work;
  const auto reach = [&](NodeId node) {
    if (reached[node]) return;
    reached[node] = true;
    work.push_back(node);
  };
  for (const NodeId start : starts_) reach(start);
  while (!work.empty()) {
    const NodeId node = work.back();
    work.pop_back();
    for (const NodeId to : empty_from[node]) reach(to);
    for (const uint32_t call : calls_from[node]) {
      nullable[calls_[call].rule] ? reach(calls_[call].back) : waiting.add(calls_[call].rule, calls_[call].back);
    }
    const RuleId rule = rule_of_end[node];
    if (rule == UINT32_MAX || nullable[rule]) continue;
    nullable[rule] = true;
    for (const NodeId back : waiting[rule]) reach(back);
  }
  return nullable;
}

// A rule that calls itself before anything is read would have to be called without end.
Result<void> AutomatonBuilder::refuse_left_recursion(const std::vector<bool>& nullable) const {
  Lists empty_from(num_nodes_), calls_from(num_nodes_), first_calls(starts_.size());
  for (const EmptyEdge& edge : empty_edges_) empty_from.add(edge.from, edge.to);
  for (size_t i = 0; i < calls_.size(); ++i) calls_from.add(calls_[i].from, static_cast<uint32_t>(i));
  std::vector<uint32_t> seen_by(num_nodes_, UINT32_MAX);
  for (uint32_t rule = 0; rule < starts_.size(); ++rule) {
    std::vector<NodeId> work;
    const auto reach = [&](NodeId node) {
      if (seen_by[node] == rule) return;
      seen_by[node] = rule;
      work.push_back(node);
    };
    reach(starts_[rule]);
    while (!work.empty()) {
      const NodeId node = work.back();
      work.pop_back();
      for (const NodeId to : empty_from[node]) reach(to);
      for (const uint32_t call : calls_from[node]) {
        first_calls.add(rule, calls_[call].rule);
        if (nullable[calls_[call].rule]) reach(calls_[call].back);
      }
    }
  }
  enum : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> state(starts_.size(), kNew);
  for (uint32_t root = 0; root < starts_.size(); ++root) {
    std::vector<std::pair<uint32_t, size_t>> path;  // rule, next of its calls
    if (state[root] == kNew) path.emplace_back(root, 0);
    while (!path.empty()) {
      auto& [rule, next] = path.back();
      state[rule] = kOpen;
      if (next == first_calls[rule].size()) {
        state[rule] = kDone;
        path.pop_back();
        continue;
      }
      const uint32_t called = first_calls[rule][next++];
      if (state[called] == kOpen) {
        return refused(fmt::format("grammar: the rule {} calls itself before it reads anything (left recursion)",
                                   printable(grammar_.rules()[called].name, 64)),
                       "write repetition with * or +, or put the recursion at the end");
      }
      if (state[called] == kNew) path.emplace_back(called, 0);
    }
  }
  return {};
}

void AutomatonBuilder::number_classes(Automaton& to) const {
  std::array<bool, 257> starts_class{};
  for (const ByteEdge& edge : byte_edges_) {
    starts_class[edge.bytes.first] = true;
    starts_class[static_cast<size_t>(edge.bytes.last) + 1] = true;
  }
  size_t number = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (byte > 0 && starts_class[byte]) ++number;
    to.classes_[byte] = static_cast<uint8_t>(number);
  }
  to.num_classes_ = number + 1;
}

Result<Automaton> AutomatonBuilder::build() {
  for (size_t rule = 0; rule < grammar_.rules().size(); ++rule) {
    starts_.push_back(add_node());
    ends_.push_back(add_node());
  }
  for (size_t rule = 0; rule < grammar_.rules().size() && !full(); ++rule) {
    emit(grammar_.rules()[rule].body.value(), starts_[rule], ends_[rule], 0);
  }
  if (full() || grammar_.overflowed()) {
    return refused(fmt::format("the required form is too large: it needs more than {} states", Automaton::kMaxNodes),
                   "use smaller repetition counts and lengths");
  }
  MHUB_CHECK_OK(refuse_left_recursion(find_nullable()));
  const std::vector<bool> productive = find_productive();
  Automaton out;
  out.start_ = starts_[grammar_.root()];
  if (!productive[out.start_]) return refused("no text has the required form");
  out.final_.assign(num_nodes_, false);
  for (const NodeId end : ends_) out.final_[end] = true;
  for (const ByteEdge& edge : byte_edges_) {
    if (productive[edge.to]) out.byte_edges_.add(edge.from, {edge.bytes, edge.to});
  }
  for (const EmptyEdge& edge : empty_edges_) {
    if (productive[edge.to]) out.empty_edges_.add(edge.from, edge.to);
  }
  for (const Call& call : calls_) {
    if (productive[starts_[call.rule]] && productive[call.back]) {
      out.calls_.add(call.from, {starts_[call.rule], call.back});
    }
  }
  out.byte_edges_.pack(num_nodes_);
  out.empty_edges_.pack(num_nodes_);
  out.calls_.pack(num_nodes_);
  number_classes(out);
  return out;
}

}  // namespace mhub::constraint
