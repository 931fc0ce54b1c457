// SPDX-License-Identifier: Apache-2.0
#include "cli.h"


int main(int argc, char** argv) {
  using namespace mhub::apps;
  Cli cli;
#ifdef MHUB_HAVE_DOWNLOAD
  add_download(cli);
#endif
#ifdef MHUB_HAVE_LIST
  add_list(cli);
#endif
#ifdef MHUB_HAVE_SHOW
  add_show(cli);
#endif
#ifdef MHUB_HAVE_VERIFY
  add_verify(cli);
#endif
#ifdef MHUB_HAVE_RM
  add_rm(cli);
#endif
#ifdef MHUB_HAVE_IMPORT
  add_import(cli);
#endif
#ifdef MHUB_HAVE_MIRROR
  add_mirror(cli);
#endif
#ifdef MHUB_HAVE_QUANTIZE
  add_quantize(cli);
#endif
#ifdef MHUB_HAVE_SERVE
  add_serve(cli);
#endif
#ifdef MHUB_HAVE_ENGINE_WORKER
  add_engine_worker(cli);
#endif
  add_docs(cli);
  return cli.run(argc, argv);
}
