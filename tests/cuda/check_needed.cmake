# Fails if the library asks the loader for anything of CUDA.
# Usage: cmake -DREADELF=readelf -DLIBRARY=libninc.so -P check_needed.cmake

execute_process(COMMAND ${READELF} -d ${LIBRARY} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "NEEDED[^\n]*" needed "${dynamic}")
if(NOT needed)
  message(FATAL_ERROR "${LIBRARY}: no needed libraries found, not even the C library")
endif()
foreach(line IN LISTS needed)
  if(line MATCHES "cuda|cudart|cublas|cudnn|nvrtc|nvidia")
    message(FATAL_ERROR "${LIBRARY} is linked to a CUDA library: ${line}")
  endif()
endforeach()
