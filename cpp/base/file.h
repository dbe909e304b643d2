// Whole files in and out. Every error names the path and gives the system's own reason.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ninc/status.h"

namespace ninc {

// InvalidArgument for a path with a NUL in it: the system would take what stands before the NUL for
// the whole name, and read or replace another file than the one that was meant. ReadFile and
// WriteFileAtomically look themselves. verb: "read" or "write", for the message.
Status CheckFileName(const char* verb, const std::string& path);

// The whole file, or an error where it holds more than `limit` bytes. Reads until the end rather
// than trusting the size the system gives: pipes and /proc give none. OutOfMemory as soon as there
// is no room for more. Read, not mapped: a file that someone truncates under a mapping kills the
// process.
Result<std::string> ReadFile(const std::string& path, size_t limit);

// Writes `pieces` one after the other so that a reader sees the old file or the new one and never
// half of either: into a temporary file beside it, flushed to the disk, then renamed. What fails
// leaves nothing behind. A symbolic link stays one, and its target is replaced; a pipe or device is
// written to directly.
Status WriteFileAtomically(const std::string& path, const std::vector<std::string_view>& pieces);

}  // namespace ninc
