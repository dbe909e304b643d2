# What the core is built with. What the host project has comes first, then what is installed; what is
# missing is fetched. Everything here is header-only, so that libninc needs nothing but the C++
# runtime. Names begin with ninc_, so that a project may fetch the same libraries for itself.

include(FetchContent)
find_package(Threads REQUIRED)

set(NINC_MISSING)  # in words for whoever has to install it

# ---- Highway (SIMD) ------------------------------------------------------------------------------
# Headers only, never -lhwy: cpp/cpu/simd/dispatch.h chooses the target without Highway's runtime.
# 1.0.3 is what Debian 12 ships and the oldest the kernels compile with.
set(NINC_HWY_MINIMUM 1.0.3)
set(NINC_HWY_HINTS ${FETCHCONTENT_SOURCE_DIR_NINC_HIGHWAY})
# Of a host that builds or has found Highway we take the same headers: two versions in one program
# would mix their inline functions.
foreach(target hwy hwy::hwy)
  if(TARGET ${target})
    get_target_property(NINC_HWY_SOURCE_DIR ${target} SOURCE_DIR)
    get_target_property(NINC_HWY_INCLUDES ${target} INTERFACE_INCLUDE_DIRECTORIES)
    list(APPEND NINC_HWY_HINTS ${NINC_HWY_SOURCE_DIR} ${NINC_HWY_INCLUDES})
  endif()
endforeach()
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(NINC_PC_HWY QUIET libhwy)  # only a hint: the headers do without their .pc file
endif()
find_path(NINC_HWY_INCLUDE_DIR hwy/highway.h HINTS ${NINC_HWY_HINTS} ${NINC_PC_HWY_INCLUDEDIR}
          DOC "Folder with hwy/highway.h")
set(NINC_HWY_VERSION 0)
set(NINC_HWY_VERSION_LINES)
if(EXISTS "${NINC_HWY_INCLUDE_DIR}/hwy/highway.h")
  # The version stands in highway.h up to 1.0 and in base.h from 1.1 on.
  foreach(header highway base)
    file(STRINGS ${NINC_HWY_INCLUDE_DIR}/hwy/${header}.h NINC_HWY_LINES
         REGEX "define HWY_(MAJOR|MINOR|PATCH) ")
    string(APPEND NINC_HWY_VERSION_LINES "${NINC_HWY_LINES}")
  endforeach()
  string(REGEX REPLACE "[^0-9]*([0-9]+);[^0-9]*([0-9]+);[^0-9]*([0-9]+)" "\\1.\\2.\\3"
         NINC_HWY_VERSION "${NINC_HWY_VERSION_LINES}")
endif()
if(NINC_HWY_VERSION VERSION_GREATER_EQUAL NINC_HWY_MINIMUM)
  message(STATUS "Highway ${NINC_HWY_VERSION}: ${NINC_HWY_INCLUDE_DIR}")
  set(NINC_HWY_HEADERS ${NINC_HWY_INCLUDE_DIR})
else()
  set(NINC_HWY_HEADERS)
  list(APPEND NINC_MISSING "Highway ${NINC_HWY_MINIMUM} or later: install it (Debian, Ubuntu: \
libhwy-dev) or set NINC_HWY_INCLUDE_DIR to a folder with hwy/highway.h")
endif()

# ---- nlohmann-json (network descriptions, model file headers) ------------------------------------
find_path(NINC_JSON_INCLUDE_DIR nlohmann/json.hpp HINTS ${FETCHCONTENT_SOURCE_DIR_NINC_JSON}
          PATH_SUFFIXES include single_include NO_DEFAULT_PATH
          DOC "Folder with nlohmann/json.hpp, to be used instead of an installed one")
set(NINC_JSON)
if(EXISTS "${NINC_JSON_INCLUDE_DIR}/nlohmann/json.hpp")
  message(STATUS "nlohmann-json: ${NINC_JSON_INCLUDE_DIR}")
else()
  if(NOT TARGET nlohmann_json::nlohmann_json)  # the host may build it
    find_package(nlohmann_json 3.9 QUIET)
  endif()
  if(TARGET nlohmann_json::nlohmann_json)
    set(NINC_JSON nlohmann_json::nlohmann_json)
  else()
    list(APPEND NINC_MISSING "nlohmann-json 3.9 or later: install it (Debian, Ubuntu: \
nlohmann-json3-dev) or set NINC_JSON_INCLUDE_DIR to a folder with nlohmann/json.hpp")
  endif()
endif()

# ---- What is missing -----------------------------------------------------------------------------
if(NINC_MISSING)
  include(NincFetch)
endif()

add_library(ninc_hwy INTERFACE)
target_include_directories(ninc_hwy SYSTEM INTERFACE ${NINC_HWY_HEADERS})
# Highway's debug assertions call into its library, which we do not link.
target_compile_definitions(ninc_hwy INTERFACE HWY_IS_DEBUG_BUILD=0)

add_library(ninc_json INTERFACE)
if(NINC_JSON)
  target_link_libraries(ninc_json INTERFACE ${NINC_JSON})
else()
  target_include_directories(ninc_json SYSTEM INTERFACE ${NINC_JSON_INCLUDE_DIR})
endif()

# ---- pybind11 (the Python module) ----------------------------------------------------------------
if(NINC_BUILD_PYTHON)
  find_package(Python 3.9 REQUIRED COMPONENTS Interpreter Development.Module)
  if(NOT COMMAND pybind11_add_module)  # the host may have it
    if(NOT pybind11_DIR)  # installed by pip beside the interpreter
      execute_process(COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir
                      OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
    find_package(pybind11 3 CONFIG REQUIRED)
  endif()
endif()

# ---- GoogleTest ----------------------------------------------------------------------------------
if(NINC_BUILD_TESTS AND CMAKE_CROSSCOMPILING)  # an installed one is this machine's: from its source
  find_path(NINC_GTEST_SOURCE googletest/src/gtest-all.cc PATHS /usr/src/googletest REQUIRED
            NO_CMAKE_FIND_ROOT_PATH DOC "GoogleTest's source (Debian, Ubuntu: googletest)")
  add_subdirectory(${NINC_GTEST_SOURCE} ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
elseif(NINC_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
