# What the core is built with. System packages come first; what is missing is fetched, pinned to a
# commit. Everything here is header-only, so that libninc needs nothing but the C++ runtime.

include(FetchContent)
find_package(Threads REQUIRED)

# ---- Highway (SIMD) ------------------------------------------------------------------------------
# Headers only, never -lhwy: cpp/cpu/simd/dispatch.h chooses the target without Highway's runtime.
# 1.0.3 is what Debian 12 ships and the oldest the kernels compile with.
set(NINC_HWY_MINIMUM 1.0.3)
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(NINC_PC_HWY QUIET libhwy)  # only a hint: the headers do without their .pc file
endif()
find_path(NINC_HWY_INCLUDE_DIR hwy/highway.h HINTS ${NINC_PC_HWY_INCLUDEDIR})
set(NINC_HWY_VERSION 0)
if(NINC_HWY_INCLUDE_DIR)
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
  message(STATUS "Highway: no libhwy >= ${NINC_HWY_MINIMUM} found, fetching 1.0.3")
  FetchContent_Declare(highway
      GIT_REPOSITORY https://github.com/google/highway.git
      GIT_TAG 58746ca5b9f9444a2a3549704602ecc6239f8f41  # 1.0.3
      SOURCE_SUBDIR headers-only)  # no such folder: fetched but not added to the build
  FetchContent_MakeAvailable(highway)
  set(NINC_HWY_HEADERS ${highway_SOURCE_DIR})
endif()
add_library(hwy_headers INTERFACE)
target_include_directories(hwy_headers SYSTEM INTERFACE ${NINC_HWY_HEADERS})
# Highway's debug assertions call into its library, which we do not link.
target_compile_definitions(hwy_headers INTERFACE HWY_IS_DEBUG_BUILD=0)

# ---- nlohmann-json (network descriptions, model file headers) ------------------------------------
find_package(nlohmann_json 3.9 QUIET)
if(NOT nlohmann_json_FOUND)
  message(STATUS "nlohmann-json: not found, fetching 3.11.3")
  FetchContent_Declare(json
      URL https://raw.githubusercontent.com/nlohmann/json/9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03/single_include/nlohmann/json.hpp
      URL_HASH SHA256=9bea4c8066ef4a1c206b2be5a36302f8926f7fdc6087af5d20b417d0cf103ea6
      DOWNLOAD_NO_EXTRACT TRUE
      SOURCE_DIR ${CMAKE_BINARY_DIR}/_deps/json/nlohmann)
  FetchContent_MakeAvailable(json)
  add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
  target_include_directories(nlohmann_json::nlohmann_json INTERFACE ${CMAKE_BINARY_DIR}/_deps/json)
endif()

# ---- pybind11 (the Python module) ----------------------------------------------------------------
if(NINC_BUILD_PYTHON)
  find_package(Python 3.9 REQUIRED COMPONENTS Interpreter Development.Module)
  if(NOT pybind11_DIR)  # installed by pip beside the interpreter
    execute_process(COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir
                    OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  find_package(pybind11 3 CONFIG REQUIRED)
endif()

if(NINC_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
