// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bad_model.h"

namespace mhub::formats {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "not a regular file";
}

Error open_error(const std::filesystem::path& path, int number) {
  if (number == ENXIO) return bad_model(path, "it is a socket or a pipe without a peer, not a regular file");
  const auto code = number == ENOENT || number == ENOTDIR || number == ELOOP ? ErrorCode::kBadModel : ErrorCode::kDisk;
  return {code, fmt::format("opening {}: {}", printable(path.string(), 1024), std::strerror(number)),
          code == ErrorCode::kBadModel ? "check the path" : "check the file's permissions and the disk", ""};
}

// Opens without ever blocking on a pipe or device, and answers the size seen through the descriptor.
Result<uint64_t> regular_file_size(const std::filesystem::path& path, int fd) {
  if (fd < 0) return open_error(path, errno);
  struct stat info {};
  if (fstat(fd, &info) != 0) return open_error(path, errno);
  if (!S_ISREG(info.st_mode))
    return bad_model(path, fmt::format("it is {}, not a regular file", kind_of(info.st_mode)));
  fcntl(fd, F_SETFL, 0);  // O_NONBLOCK was only for the open
  return static_cast<uint64_t>(info.st_size);
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  MHUB_TRY(const uint64_t size, regular_file_size(path, fd.get()));
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  if (size == 0) return std::shared_ptr<const MappedFile>(std::move(file));
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED) {
    return Error{ErrorCode::kDisk,
                 fmt::format("mapping {} ({} bytes): {}", printable(path.string(), 1024), size, std::strerror(errno)),
                 "check the limits on this process's memory", ""};
  }
  file->bytes_ = {static_cast<const std::byte*>(address), size};
  return std::shared_ptr<const MappedFile>(std::move(file));
}

void MappedFile::drop_pages() const {
  if (!bytes_.empty()) madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

Result<std::string> read_text_file(const std::filesystem::path& path, size_t max_bytes) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  MHUB_TRY(const uint64_t size, regular_file_size(path, fd.get()));
  if (size > max_bytes) return bad_model(path, fmt::format("{} bytes, over the limit of {}", size, max_bytes));
  std::string text(size, '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = read(fd.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return Error{ErrorCode::kDisk,
                   fmt::format("reading {} at byte {}: {}", printable(path.string(), 1024), done, std::strerror(errno)),
                   "check the disk", ""};
    }
    if (n == 0) return bad_model(path, fmt::format("it shrank to {} of {} bytes while being read", done, size));
    done += static_cast<size_t>(n);
  }
  return text;
}

}  // namespace mhub::formats
