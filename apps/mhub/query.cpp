// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "table.h"

namespace mhub::apps {
namespace {

using registry::QueryValue;

std::string text_of(const QueryValue& value) {
  struct Text {
    std::string operator()(std::nullptr_t) const { return ""; }
    std::string operator()(int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return fmt::format("{}", number); }
    std::string operator()(const std::string& text) const { return text; }
  };
  return std::visit(Text(), value);
}

Json json_of(const QueryValue& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

Result<void> query(const Cli& cli, const std::string& sql) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const registry::QueryResult result, library->registry().query(sql));
  if (cli.json()) {
    Json rows = Json::array();
    for (const auto& row : result.rows) {
      Json cells = Json::array();
      for (const QueryValue& value : row) cells.push_back(json_of(value));
      rows.push_back(std::move(cells));
    }
    cli.print_json({{"columns", result.columns}, {"rows", std::move(rows)}});
    return {};
  }
  std::vector<Table::Column> columns;
  for (size_t c = 0; c < result.columns.size(); ++c) {
    const bool number = !result.rows.empty() && (std::holds_alternative<int64_t>(result.rows[0][c]) ||
                                                 std::holds_alternative<double>(result.rows[0][c]));
    columns.push_back({result.columns[c], number});
  }
  Table table(columns);
  for (const auto& row : result.rows) {
    std::vector<std::string> cells;
    for (const QueryValue& value : row) cells.push_back(text_of(value));
    table.add(std::move(cells));
  }
  cli.print_line(table.text(cli.stdout_is_terminal()));
  return {};
}

}  // namespace

void add_query(Cli& cli) {
  auto sql = std::make_shared<std::string>();
  CLI::App* command = cli.command("query", "Ask the registry in SQL: one SELECT over the views `model` and `file`",
                                  "  mhub query 'SELECT source, count(*), sum(bytes) FROM model GROUP BY source'\n"
                                  "  mhub query \"SELECT name, path FROM file WHERE sha256 LIKE 'ab12%'\" --json",
                                  [&cli, sql] { return query(cli, *sql); });
  command->add_option("SQL", *sql, "The statement; docs/registry.md has the columns")->required();
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
