# What a builder may choose, and the compiler flags every target of ours has.

# scikit-build-core sets SKBUILD. In another project's build it is that project's wheel, not ours.
set(NINC_WHEEL OFF)
if(PROJECT_IS_TOP_LEVEL AND SKBUILD)
  set(NINC_WHEEL ON)
endif()
# Whoever builds ninc as a part of something else gets a static library, which needs no installing
# of its own, unless all of that project's libraries are shared.
set(NINC_SHARED_DEFAULT ${PROJECT_IS_TOP_LEVEL})
if(DEFINED BUILD_SHARED_LIBS)
  set(NINC_SHARED_DEFAULT ${BUILD_SHARED_LIBS})
endif()

option(NINC_SHARED "Build libninc as a shared library, OFF as a static one" ${NINC_SHARED_DEFAULT})
option(NINC_INSTALL "Install the library, its headers and the files that find it"
       ${PROJECT_IS_TOP_LEVEL})
option(NINC_FETCH "Download the headers of Highway and nlohmann-json where they are missing" ON)
option(NINC_BUILD_TESTS "Build the C++ tests (needs GoogleTest)" OFF)
option(NINC_BUILD_PYTHON "Build the Python module _core" ${NINC_WHEEL})
option(NINC_FUZZ "Build the fuzzers of tests/fuzz (needs clang)" OFF)
option(NINC_WERROR "Make compiler warnings errors" OFF)
set(NINC_SANITIZE "" CACHE STRING "Sanitizers: empty, address,undefined or thread")

# These variables say how the targets of this folder and those below begin; a project that adds this
# folder to its own does not see them.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Highway includes a kernel file once more for each instruction set, which works for one file at a
# time, and several files have helpers of the same name: none can be merged with another.
set(CMAKE_UNITY_BUILD OFF)

# What the whole build is like is the outermost project's to say.
if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  # Kernel files are compiled once for each instruction set: a cache makes the second build quick.
  find_program(NINC_CCACHE ccache)
  if(NINC_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${NINC_CCACHE})
  endif()
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
elseif(NOT PROJECT_IS_TOP_LEVEL)
  # Another project may be strict about warnings that it asks for and we do not.
  target_compile_options(ninc_flags INTERFACE -Wno-error)
endif()
if(NOT CMAKE_CXX_FLAGS MATCHES "-O")
  # A project without a build type asks for no optimisation. Kernels are made of small functions
  # that have to be inlined: without, they are slower than plain loops.
  target_compile_options(ninc_flags INTERFACE $<$<STREQUAL:$<CONFIG>,>:-O3>)
  target_compile_definitions(ninc_flags INTERFACE $<$<STREQUAL:$<CONFIG>,>:NDEBUG>)
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
