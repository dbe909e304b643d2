#!/usr/bin/env bash
# Whether what is committed could be released: the sdist builds, from it a wheel builds without a
# network and without nvcc, two builds of it in different folders, with CUDA where nvcc is, are the
# same bytes, and what an index would read of them is in order. Leaves dist/ninc-VERSION.tar.gz. Needs
# `build` and `twine` beside $PYTHON; takes three builds of every kernel.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
work=build/release-check
fail() {
  echo "release: $1" >&2
  exit 1
}

# A builder's network is none of the build's business. Not every machine lets us take it away.
offline=()
for options in "--user --map-root-user --net" "--net"; do
  # shellcheck disable=SC2086
  if unshare $options true 2>/dev/null; then
    offline=(unshare $options)
    break
  fi
done
if ((${#offline[@]} == 0)); then
  echo "the builds may use the network: unshare is refused here"
  offline=(env)
fi

version=$(sed -n 's/^project(ninc VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
[[ -n $version ]] || fail "CMakeLists.txt has no version"
heading=$(grep -m1 '^## ' CHANGELOG.md)
[[ $heading == "## $version ("* ]] || fail "CHANGELOG.md begins with '$heading', not with $version"
if [[ $heading == *unreleased* ]]; then echo "CHANGELOG.md: $version has no date yet"; fi
[[ -z $(git status --porcelain) ]] || fail "the tree differs from what is committed"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

sdist=dist/ninc-$version.tar.gz
rm -rf "$work" "$sdist"
mkdir -p "$work/plain" "$work/one" "$work/another/and longer" dist
"${offline[@]}" "$python" -m build --sdist --no-isolation --outdir dist . >"$work/sdist.log" 2>&1 \
  || { tail -n 40 "$work/sdist.log"; fail "the sdist does not build"; }
[[ -f $sdist ]] || fail "there is no $sdist"

# wheel FOLDER CUDA: a wheel built there from the sdist.
wheel() {
  tar -xzf "$sdist" -C "$1"
  echo "building a wheel in $1, CUDA=$2"
  "${offline[@]}" "$python" -m pip wheel --no-deps --no-build-isolation --no-index -w "$1" \
    --config-settings=cmake.define.NINC_FETCH=OFF --config-settings=cmake.define.NINC_CUDA="$2" \
    "$1/ninc-$version" >"$1/log" 2>&1 || { tail -n 40 "$1/log"; fail "no wheel builds of the sdist"; }
}
wheel "$work/plain" OFF
wheel "$work/one" AUTO
wheel "$work/another/and longer" AUTO
for name in cifar10.safetensors cifar10.json; do
  "$python" -c 'import sys, zipfile
sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read("ninc/packaged/" + sys.argv[2]))' \
    "$work"/plain/ninc-"$version"-*.whl "$name" | cmp - "python/ninc/packaged/$name" \
    || fail "the packaged network is not in the wheel"
done
cmp "$work"/one/ninc-"$version"-*.whl "$work/another/and longer"/ninc-"$version"-*.whl \
  || fail "two builds of one source differ"
echo "two builds are the same: $(sha256sum "$work"/one/ninc-*.whl | cut -c1-16)..."

"$python" -m twine check --strict "$sdist" "$work"/one/*.whl
