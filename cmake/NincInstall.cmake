# `cmake --install` and the wheel: the library, its headers, find_package(ninc) and pkg-config.
# Under scikit-build-core the prefix is the Python package, so the same tree lies in ninc/lib and
# ninc/include there.

include(CMakePackageConfigHelpers)
if(NINC_WHEEL)
  set(CMAKE_INSTALL_LIBDIR lib)
  set(CMAKE_INSTALL_INCLUDEDIR include)
else()
  include(GNUInstallDirs)
endif()
set(NINC_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ninc)

install(TARGETS ninc EXPORT nincTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY cpp/include/ninc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")

# What a program is linked with beside a static libninc: the runtime of C++ ...
set(NINC_RUNTIME ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
list(FILTER NINC_RUNTIME INCLUDE REGEX "^(stdc\\+\\+|c\\+\\+|m)$")
list(REMOVE_DUPLICATES NINC_RUNTIME)

# ---- find_package(ninc) --------------------------------------------------------------------------
install(EXPORT nincTargets NAMESPACE ninc:: DESTINATION ${NINC_CMAKE_DIR})
# zig, which makes some of the wheels, links its own C++ library, libc++, into whatever it builds; on
# Linux programs are made with another one.
set(NINC_C_ALONE OFF)
if(NINC_WHEEL AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
  include(CheckCXXSymbolExists)
  check_cxx_symbol_exists(_LIBCPP_VERSION version NINC_HAS_LIBCXX)
  if(NINC_HAS_LIBCXX)
    set(NINC_C_ALONE ON)
  endif()
endif()
configure_package_config_file(cmake/nincConfig.cmake.in ${PROJECT_BINARY_DIR}/nincConfig.cmake
                              INSTALL_DESTINATION ${NINC_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/nincConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/nincConfig.cmake ${PROJECT_BINARY_DIR}/nincConfigVersion.cmake
        DESTINATION ${NINC_CMAKE_DIR})

# ---- pkg-config ----------------------------------------------------------------------------------
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  # As in Nix and Guix, where the folders may lie in different trees and files are moved between them.
  set(NINC_PC_WHERE "Absolute, as the folders were given to CMake.")
  set(NINC_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
  set(NINC_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  set(NINC_PC_WHERE "Relative to this file, so that the tree can be moved.")
  set(NINC_PC_LIBDIR "\${pcfiledir}/..")
  file(RELATIVE_PATH NINC_PC_INCLUDEDIR /${CMAKE_INSTALL_LIBDIR}/pkgconfig
       /${CMAKE_INSTALL_INCLUDEDIR})
  string(PREPEND NINC_PC_INCLUDEDIR "\${pcfiledir}/")
endif()
# ... the loader's library and threads.
set(NINC_PC_LIBS_PRIVATE ${NINC_RUNTIME} ${CMAKE_DL_LIBS})
list(TRANSFORM NINC_PC_LIBS_PRIVATE PREPEND -l)
list(JOIN NINC_PC_LIBS_PRIVATE " " NINC_PC_LIBS_PRIVATE)
string(APPEND NINC_PC_LIBS_PRIVATE " -pthread")
if(NOT NINC_SHARED)  # then all of them are needed without --static, too
  set(NINC_PC_LIBS " ${NINC_PC_LIBS_PRIVATE}")
  set(NINC_PC_CFLAGS " -DNINC_STATIC")
endif()
configure_file(cmake/ninc.pc.in ${PROJECT_BINARY_DIR}/ninc.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ninc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(NINC_WHEEL AND NINC_BUILD_PYTHON)
  install(TARGETS ninc_python LIBRARY DESTINATION .)
endif()
