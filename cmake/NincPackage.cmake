# `cpack`: a .deb and a relocatable tarball of what `cmake --install` installs. `make packages` calls
# it for each of them, with the folders that each has.
#
# There is one .deb, with the library and what programs are compiled with: a runtime package by itself
# would serve programs that are packaged, too, and there are none yet.

set(NINC_DEB libninc-dev)
if(NOT CMAKE_INSTALL_DOCDIR STREQUAL "share/doc/${NINC_DEB}")
  set(NINC_DOCDIR ${CMAKE_INSTALL_DATAROOTDIR}/doc/ninc)
else()
  set(NINC_DOCDIR ${CMAKE_INSTALL_DOCDIR})
endif()

