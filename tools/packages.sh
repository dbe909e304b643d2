#!/usr/bin/env bash
# The .deb and the relocatable tarball, into dist/. Both are cut from one build, which is configured
# for each with the folders that are usual there; that compiles nothing again.
#
#   tools/packages.sh [CMAKE_OPTION...]
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/packages
version=$(sed -n 's/^project(ninc VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
# Times in the archives are the commit's, so that two builds of it are the same bytes.
if [[ -z ${SOURCE_DATE_EPOCH:-} ]] && git rev-parse --quiet --verify HEAD >/dev/null 2>&1; then
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
  export SOURCE_DATE_EPOCH
fi

# pack GENERATOR PREFIX LIBDIR DOCDIR [CMAKE_OPTION...]
pack() {
  cmake -S . -B "$build" --log-level=WARNING -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$2" -DCMAKE_INSTALL_LIBDIR="$3" -DCMAKE_INSTALL_DOCDIR="$4" "${@:5}"
  cmake --build "$build"
  cpack --config "$build/CPackConfig.cmake" -G "$1" -B "$build/made"
}

rm -rf "$build/made"
mkdir -p dist
rm -f dist/libninc-dev_*.deb dist/ninc-"$version"-*-*.tar.gz
pack TGZ /usr/local lib share/doc/ninc "$@"
if command -v dpkg-shlibdeps >/dev/null; then
  pack DEB /usr "lib/$("${CXX:-c++}" -print-multiarch)" share/doc/libninc-dev "$@"
else
  echo "no .deb: dpkg-shlibdeps is missing (dpkg-dev)" >&2
fi
find "$build/made" -maxdepth 1 -type f -exec cp -t dist {} +
