# `cpack`: a .deb and a relocatable tarball of what `cmake --install` installs. `make packages` makes
# both, each with the folders that are usual there.
#
# There is one .deb, with the library and what programs are compiled with: a package of the library
# alone would serve packaged programs, of which there are none yet.

set(NINC_DEB libninc-dev)
set(NINC_PACKAGE_CONTACT "The ninc project" CACHE STRING
    "Whom a package names as its maintainer; a distributor sets a name and an address")

# The licences go with every binary. Debian wants them under this name, in a folder of the package's.
set(NINC_COPYRIGHT ${PROJECT_BINARY_DIR}/copyright)
file(READ THIRD_PARTY_NOTICES.md NINC_NOTICES)
file(CONFIGURE OUTPUT ${NINC_COPYRIGHT} @ONLY CONTENT
"ninc is licensed under the Apache License, Version 2.0, whose text is in the file LICENSE beside this
one, and on Debian in /usr/share/common-licenses/Apache-2.0.

@NINC_NOTICES@")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS THIRD_PARTY_NOTICES.md)
install(FILES ${NINC_COPYRIGHT} LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_PACKAGE_NAME ninc)
set(CPACK_PACKAGE_VENDOR ${NINC_PACKAGE_CONTACT})
set(CPACK_PACKAGE_CONTACT ${NINC_PACKAGE_CONTACT})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
# Whatever the umask of who builds.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# ---- The tarball: ninc-VERSION-Linux-x86_64.tar.gz -----------------------------------------------
set(CPACK_SYSTEM_NAME ${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})

# ---- The .deb: libninc-dev_VERSION_amd64.deb -----------------------------------------------------
set(CPACK_DEBIAN_PACKAGE_NAME ${NINC_DEB})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # the least versions of the C and C++ runtimes
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)  # so that packages of programs depend on this one
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Trains and runs all-convolutional image classifiers, the family that began
with Network in Network, on processors and on NVIDIA GPUs. This package has
the shared library with its interfaces for C and C++, their headers, and what
CMake and pkg-config need to find them.")
include(CPack)
