# Which symbols a shared library of ours shows, and to whom it is bound. A process may hold two
# copies of the library, one that the program is linked with and the wheel's: neither may call into
# the other, whose pool, version and classes' layouts are not its own.

# Part of each symbol's name to the loader, so that what was linked with one copy finds that copy.
set(NINC_SYMBOL_VERSION NINC_${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
if(NINC_WHEEL)
  string(APPEND NINC_SYMBOL_VERSION _WHEEL)
endif()

# `map` is a file beside this one that lists what is shown. The rest is hidden, also what the compiler
# makes of templates of the standard library for our classes, which it leaves open to other libraries.
# -Bsymbolic: calls within the library stay there, whatever was loaded before.
function(ninc_export_only target map)
  set(file ${PROJECT_BINARY_DIR}/${map})
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${map}.in ${file} @ONLY)
  target_link_options(${target} PRIVATE LINKER:--version-script=${file} LINKER:-Bsymbolic)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${file})
endfunction()
