// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

int main(int argc, char** argv) {
  using namespace mhub::apps;
  Cli cli;
  add_download(cli);
  add_search(cli);
  add_info(cli);
  add_files(cli);
  add_inspect(cli);
  add_plan(cli);
  add_apply(cli);
  add_lock(cli);
  add_doctor(cli);
  add_login(cli);
  add_logout(cli);
  add_whoami(cli);
  add_list(cli);
  add_show(cli);
  add_verify(cli);
  add_rm(cli);
  add_gc(cli);
  add_du(cli);
  add_tag(cli);
  add_registry(cli);
  add_query(cli);
  add_adopt(cli);
  add_export(cli);
  add_import(cli);
  add_mirror(cli);
  add_quantize(cli);
  add_serve(cli);
  add_bench(cli);
  add_engine_worker(cli);
  add_docs(cli);
  return cli.run(argc, argv);
}
