# `cmake --install` and the wheel: the library, its headers, find_package(ninc) and pkg-config.
# Under scikit-build-core the prefix is the Python package, so the same tree lies in ninc/lib and
# ninc/include there.

include(CMakePackageConfigHelpers)
if(SKBUILD)
  set(CMAKE_INSTALL_LIBDIR lib)
  set(CMAKE_INSTALL_INCLUDEDIR include)
else()
  include(GNUInstallDirs)
endif()
set(NINC_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ninc)

install(TARGETS ninc EXPORT nincTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY cpp/include/ninc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")

install(EXPORT nincTargets NAMESPACE ninc:: DESTINATION ${NINC_CMAKE_DIR})
configure_package_config_file(cmake/nincConfig.cmake.in ${CMAKE_BINARY_DIR}/nincConfig.cmake
                              INSTALL_DESTINATION ${NINC_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/nincConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/nincConfig.cmake ${CMAKE_BINARY_DIR}/nincConfigVersion.cmake
        DESTINATION ${NINC_CMAKE_DIR})

file(RELATIVE_PATH NINC_PC_INCLUDEDIR /${CMAKE_INSTALL_LIBDIR}/pkgconfig /${CMAKE_INSTALL_INCLUDEDIR})
configure_file(cmake/ninc.pc.in ${CMAKE_BINARY_DIR}/ninc.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/ninc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(SKBUILD)
  install(TARGETS _core LIBRARY DESTINATION .)
endif()
