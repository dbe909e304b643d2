# The Python module _core: for the Python that builds, which scikit-build-core and developers ask for
# (NINC_BUILD_PYTHON); and for others, of which there are headers alone (NINC_PYTHONS, as tools/wheels
# sets it). The library is compiled once for all of them.

set(NINC_PYTHONS "" CACHE STRING
    "Pythons to build modules for besides, each TAG|SUFFIX|INCLUDE... of its tag, its modules' suffix \
and folders of headers, pybind11's among them: cp313|.cpython-313-aarch64-linux-gnu.so|/a/include")

file(GLOB NINC_PYTHON_SOURCES CONFIGURE_DEPENDS cpp/bindings/*.cc
     cpp/bindings/functional/*.cc)
set_source_files_properties(cpp/bindings/take_lock_back.cc PROPERTIES
    COMPILE_OPTIONS -fno-exceptions SKIP_PRECOMPILE_HEADERS ON)

# What a module is, whichever Python it is for.
function(ninc_make_module target)
  target_sources(${target} PRIVATE ${NINC_PYTHON_SOURCES})
  target_include_directories(${target} PRIVATE cpp)
  target_compile_definitions(${target} PRIVATE NINC_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${target} PRIVATE ninc ninc_flags)
  target_compile_options(${target} PRIVATE ${NINC_SMALL})
  # Every file includes them, and they take longer than what is ours.
  target_precompile_headers(${target} PRIVATE <pybind11/pybind11.h> <pybind11/numpy.h>
                                              <pybind11/stl.h>)
  # Linked as it is installed. CMake would write the installed path over that of the build's folder,
  # whose length then stays in the file, and two builds of one source would differ.
  set_target_properties(${target} PROPERTIES
      OUTPUT_NAME _core INSTALL_RPATH "$ORIGIN/lib" BUILD_WITH_INSTALL_RPATH ON)
  if(NOT NINC_SANITIZE AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
    # As RPATH, which the loader reads before LD_LIBRARY_PATH: that may name the folder of an
    # installed ninc, and this module works with its own copy alone.
    target_link_options(${target} PRIVATE LINKER:--disable-new-dtags)
    ninc_export_only(${target} python.map)
  endif()
endfunction()

if(NINC_BUILD_PYTHON)
  pybind11_add_module(ninc_python MODULE NO_EXTRAS)
  ninc_make_module(ninc_python)
endif()

foreach(python IN LISTS NINC_PYTHONS)
  string(REPLACE "|" ";" python "${python}")
  list(POP_FRONT python tag suffix)
  add_library(ninc_python_${tag} MODULE)
  target_include_directories(ninc_python_${tag} SYSTEM PRIVATE ${python})
  ninc_make_module(ninc_python_${tag})
  set_target_properties(ninc_python_${tag} PROPERTIES
      PREFIX "" SUFFIX ${suffix}
      LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/python/${tag})
endforeach()
