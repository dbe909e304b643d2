#!/usr/bin/env bash
# A source file past 400 lines is two things: split it.
set -euo pipefail

git ls-files '*.h' '*.cc' '*.c' '*.cpp' '*.cu' '*.cuh' '*.py' '*.pyi' | while read -r file; do
  lines=$(wc -l <"$file")
  if ((lines > 400)); then echo "$file: $lines lines, at most 400"; fi
done | { ! grep .; }
