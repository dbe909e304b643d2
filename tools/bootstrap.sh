#!/usr/bin/env bash
# Sees to the system packages a goal needs: as root on Debian or Ubuntu installs what is missing,
# otherwise says in one line what that is.
#
#   tools/bootstrap.sh build|test|fuzz|shells|aarch64|wheels|packages
set -euo pipefail

goal=${1:?usage: tools/bootstrap.sh build|test|fuzz|shells|aarch64|wheels|packages}
python=${PYTHON:-python3}
missing=()

# need PACKAGE COMMAND...: PACKAGE is missing where COMMAND fails.
need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
has_header() { echo "#include <$1>" | ${CXX:-g++} -x c++ -std=c++20 -fsyntax-only -; }
has_fuzzer() {
  local program
  program=$(mktemp)
  echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' \
    | clang++ -x c++ -fsanitize=fuzzer,address - -o "$program"
  local failed=$?
  rm -f "$program"
  return "$failed"
}
has_python_header() {
  test -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h"
}

need g++ has_header vector
need python3-venv "$python" -c 'import ensurepip, venv'
need python3-dev has_python_header
# CMake fetches these two where they are missing; a package is quicker and works offline.
need libhwy-dev has_header hwy/highway.h
need nlohmann-json3-dev has_header nlohmann/json.hpp
if [[ $goal == test ]]; then
  need libgtest-dev has_header gtest/gtest.h
  need ccache command -v ccache
  need pkg-config command -v pkg-config
  if [[ $(uname -m) == x86_64 ]]; then need qemu-user command -v qemu-x86_64; fi
fi
if [[ $goal == fuzz ]]; then
  need clang command -v clang++
  need libclang-rt-14-dev has_fuzzer
fi
if [[ $goal == aarch64 || $goal == wheels ]]; then
  need g++-aarch64-linux-gnu command -v aarch64-linux-gnu-g++
  need qemu-user command -v qemu-aarch64
fi
if [[ $goal == aarch64 ]]; then need googletest test -d /usr/src/googletest; fi
if [[ $goal == wheels ]]; then
  need mmdebstrap command -v mmdebstrap  # roots of other releases
  # Interpreters of their own, on musl and with pip.
  need musl-tools command -v musl-gcc
  need zlib1g-dev has_header zlib.h
  need libffi-dev has_header ffi.h
  need libssl-dev has_header openssl/ssl.h
fi
if [[ $goal == packages ]]; then  # what computes a .deb's dependencies
  need dpkg-dev command -v dpkg-shlibdeps
fi
if [[ $goal == shells ]]; then  # whose completion is tested where they are
  need zsh command -v zsh
  need fish command -v fish
fi

if ((${#missing[@]} == 0)); then exit 0; fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "missing system packages: ${missing[*]} (sudo apt-get install ${missing[*]})" >&2
  exit 1
fi
echo "Installing system packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
  apt-get -qq update && apt-get -qq install -y --no-install-recommends "${missing[@]}"
} </dev/null >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
