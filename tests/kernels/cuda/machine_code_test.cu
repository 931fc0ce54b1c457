// SPDX-License-Identifier: Apache-2.0
// The plug-in holds the machine code that it is meant to have for sm_90a: kernels whose bodies the compiler left out,
// because a guard named the architecture wrongly, are as quick to launch as they are wrong. Needs no device.
#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace mhub::kernels::cuda {
namespace {

constexpr uint16_t kCudaMachine = 190;
constexpr size_t kInstructionBytes = 16;
// The low twelve bits of an instruction of sm_90.
constexpr unsigned kWarpgroupProduct = 0x9f0;  // HGMMA
constexpr unsigned kCopyBox = 0x5b4;           // UTMALDG

template <class T>
T read_at(const std::string& bytes, size_t offset) {
  T value{};
  if (offset <= bytes.size() && bytes.size() - offset >= sizeof(T))
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// What a kernel's code in one image consists of.
using Opcodes = std::set<unsigned>;

// The kernels of the image at `start`, by mangled name.
std::map<std::string, Opcodes> kernels_of(const std::string& file, size_t start) {
  std::map<std::string, Opcodes> kernels;
  const auto header = read_at<Elf64_Ehdr>(file, start);
  const auto section = [&](size_t i) {
    return read_at<Elf64_Shdr>(file, start + header.e_shoff + i * sizeof(Elf64_Shdr));
  };
  const Elf64_Shdr names = section(header.e_shstrndx);
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr code = section(i);
    const size_t at = start + names.sh_offset + code.sh_name, begin = start + code.sh_offset;
    if (at >= file.size() || begin > file.size() || code.sh_size > file.size() - begin) continue;
    const std::string name(file.data() + at, strnlen(file.data() + at, file.size() - at));
    if (!name.starts_with(".text.")) continue;
    Opcodes& opcodes = kernels[name.substr(6)];
    for (size_t byte = 0; byte + kInstructionBytes <= code.sh_size; byte += kInstructionBytes)
      opcodes.insert(read_at<uint16_t>(file, begin + byte) & 0xfff);
  }
  return kernels;
}

class MachineCode : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream in(MHUB_CUDA_LIBRARY, std::ios::binary);
    const std::string file{std::istreambuf_iterator<char>(in), {}};
    ASSERT_FALSE(file.empty()) << MHUB_CUDA_LIBRARY;
    for (size_t at = file.find(ELFMAG, 1); at != std::string::npos; at = file.find(ELFMAG, at + 1)) {
      if (read_at<Elf64_Ehdr>(file, at).e_machine == kCudaMachine) images_.push_back(kernels_of(file, at));
    }
    ASSERT_FALSE(images_.empty()) << "no uncompressed device code";
  }
  // How many kernels with `name` in theirs have all of `wanted`, in the image with the most of them.
  size_t kernels_with(const std::string& name, const Opcodes& wanted) const {
    size_t most = 0;
    for (const auto& image : images_) {
      most = std::max<size_t>(
          most, static_cast<size_t>(std::count_if(image.begin(), image.end(), [&](const auto& kernel) {
            return kernel.first.find(name) != std::string::npos &&
                   std::includes(kernel.second.begin(), kernel.second.end(), wanted.begin(), wanted.end());
          })));
    }
    return most;
  }

  std::vector<std::map<std::string, Opcodes>> images_;
};

TEST_F(MachineCode, StreamedProductsCopyBoxesAndMultiplyByWarpgroups) {
  EXPECT_EQ(kernels_with("streamed_kernel", {kWarpgroupProduct, kCopyBox}), 2 * 14u);  // types, heights of tiles
}

TEST_F(MachineCode, PrefillMultipliesByWarpgroups) {
  EXPECT_EQ(kernels_with("prefill_wide_kernel", {kWarpgroupProduct}), 2u);  // types
}

TEST_F(MachineCode, OtherKernelsDoNot) {
  EXPECT_EQ(kernels_with("skinny_kernel", {kWarpgroupProduct}), 0u);
}

}  // namespace
}  // namespace mhub::kernels::cuda
