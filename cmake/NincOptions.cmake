# What a builder may choose, and the compiler flags every target of ours has.

option(NINC_BUILD_TESTS "Build the C++ tests (needs GoogleTest)" OFF)
set(NINC_BUILD_PYTHON_DEFAULT OFF)
if(SKBUILD)  # set by scikit-build-core
  set(NINC_BUILD_PYTHON_DEFAULT ON)
endif()
option(NINC_BUILD_PYTHON "Build the Python module _core" ${NINC_BUILD_PYTHON_DEFAULT})
option(NINC_FUZZ "Build the fuzzers of tests/fuzz (needs clang)" OFF)
option(NINC_WERROR "Make compiler warnings errors" OFF)
set(NINC_SANITIZE "" CACHE STRING "Sanitizers: empty, address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Kernel files are compiled once for each instruction set: a cache makes the second build quick.
find_program(NINC_CCACHE ccache)
if(NINC_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${NINC_CCACHE})
endif()

add_library(ninc_flags INTERFACE)
# The build is for the architecture's baseline (no -march): kernels raise the instruction set
# themselves, function by function, and one is chosen at run time.
# No contraction: a product and a sum are fused where the source says MulAdd and nowhere else, so
# that the same source gives the same bits whatever the compiler would have liked to merge.
target_compile_options(ninc_flags INTERFACE
    -Wall -Wextra -Wno-missing-field-initializers  # designated initialisers name what is not default
    -ffp-contract=off -ffunction-sections -fdata-sections)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # gcc 12 sees overlapping copies in `"text" + std::string` where there are none (its bug 105329).
  target_compile_options(ninc_flags INTERFACE -Wno-restrict)
endif()
if(NINC_WERROR)
  target_compile_options(ninc_flags INTERFACE -Werror)
endif()
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  target_link_options(ninc_flags INTERFACE LINKER:--gc-sections)
endif()
if(NINC_FUZZ)  # the core reports to libFuzzer what it reached
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "NINC_FUZZ needs clang, got ${CMAKE_CXX_COMPILER_ID}")
  endif()
  target_compile_options(ninc_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(NINC_SANITIZE OR NINC_BUILD_TESTS)
  include(NincProcessor)
endif()

# ---- Sanitizers ----------------------------------------------------------------------------------
# The core is compiled so. Tests' objects are those of a release: what the core may read and write of
# theirs lies on the heap, but for some small arrays, and is checked there. A race may lie between
# both, so for the thread sanitizer tests are instrumented too.
add_library(ninc_sanitized INTERFACE)
if(NINC_SANITIZE)
  target_compile_options(ninc_sanitized INTERFACE
      -fsanitize=${NINC_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(ninc_flags INTERFACE -fsanitize=${NINC_SANITIZE})
  if(NINC_SANITIZE MATCHES "address.*undefined")
    # Accesses through such pointers are seen by the address sanitizer, or end in a fault; to check
    # the pointers themselves too doubles the time that the compiler takes.
    target_compile_options(ninc_sanitized INTERFACE
                           -fno-sanitize=null,object-size,pointer-overflow)
  endif()
  # Kernels are most of the core: for those instruction sets alone whose kernels run here.
  if(NINC_RUNS_HASWELL)
    target_compile_options(ninc_sanitized INTERFACE -march=haswell -maes)  # Highway's AVX2 has AES
    if(NOT NINC_RUNS_AVX512)
      target_compile_definitions(ninc_sanitized INTERFACE HWY_COMPILE_ONLY_STATIC)
    endif()
  endif()
  if(NINC_SANITIZE STREQUAL "thread")
    target_link_libraries(ninc_flags INTERFACE ninc_sanitized)
  endif()
endif()
