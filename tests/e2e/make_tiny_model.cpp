// SPDX-License-Identifier: Apache-2.0
// make_tiny_model DIR: writes the tiny random checkpoint that the end-to-end tests serve.
#include <cstdio>

#include "support/tiny_model.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_tiny_model DIR\n");
    return 2;
  }
  mhub::test::TinyModelOptions options;
  options.max_position_embeddings = 4096;
  mhub::test::write_tiny_model(argv[1], options);
  return 0;
}
