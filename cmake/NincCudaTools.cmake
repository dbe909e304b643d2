# What makes binaries of nvcc's PTX, and which drivers read them. Sets
#   NINC_PTXAS, NINC_PTXAS_VERSION, NINC_FATBINARY   the tools
#   NINC_CUDA_DRIVER, NINC_CUDA_DRIVER_TEXT          the oldest driver: 12000 and "12.0"
#   NINC_CUDA_COMPRESSION                            fatbinary's mode, one that this driver reads
#   NINC_NVCC_TOP                                    nvcc's toolkit

# The nvcc on the path may be a script that calls another.
execute_process(COMMAND ${NINC_NVCC} --dryrun -x cu -c /dev/null OUTPUT_QUIET
                ERROR_VARIABLE NINC_NVCC_DRYRUN)
string(REGEX MATCH "_HERE_=([^\n]*)" match "${NINC_NVCC_DRYRUN}")
set(NINC_NVCC_BIN "${CMAKE_MATCH_1}")
string(REGEX MATCH "TOP=([^\n]*)" match "${NINC_NVCC_DRYRUN}")
set(NINC_NVCC_TOP "${CMAKE_MATCH_1}")
find_program(NINC_FATBINARY fatbinary HINTS ${NINC_NVCC_BIN} ${NINC_NVCC_TOP}/bin REQUIRED)
find_program(NINC_NVCC_PTXAS ptxas HINTS ${NINC_NVCC_BIN} ${NINC_NVCC_TOP}/bin REQUIRED)

# ptxas --version to `variable`: 12.9, or 0 where it is none.
function(ninc_ptxas_version ptxas variable)
  execute_process(COMMAND ${ptxas} --version OUTPUT_VARIABLE output ERROR_QUIET)
  set(version 0)
  if(output MATCHES "release ([0-9]+\\.[0-9]+)")
    set(version ${CMAKE_MATCH_1})
  endif()
  set(${variable} ${version} PARENT_SCOPE)
endfunction()

if(NINC_CUDA_PTXAS)
  set(NINC_PTXAS ${NINC_CUDA_PTXAS})
  ninc_ptxas_version(${NINC_PTXAS} NINC_PTXAS_VERSION)
  if(NINC_PTXAS_VERSION VERSION_LESS NINC_CUDA_MINIMUM)
    message(FATAL_ERROR "NINC_CUDA_PTXAS: ${NINC_PTXAS} must be a ptxas of CUDA ${NINC_CUDA_MINIMUM} \
or later, its version is ${NINC_PTXAS_VERSION}")
  endif()
else()
  set(NINC_PTXAS ${NINC_NVCC_PTXAS})
  ninc_ptxas_version(${NINC_PTXAS} NINC_PTXAS_VERSION)
  if(NINC_PTXAS_VERSION VERSION_GREATER_EQUAL 13)
    set(sitelib ${Python_SITELIB})
    if(NOT sitelib)  # no module for Python is built here
      execute_process(COMMAND python3 -c "import sysconfig; print(sysconfig.get_path('purelib'))"
                      OUTPUT_VARIABLE sitelib OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
    file(GLOB candidates ${sitelib}/nvidia/cuda_nvcc/bin/ptxas /usr/local/cuda-12*/bin/ptxas)
    foreach(candidate IN LISTS candidates)
      ninc_ptxas_version(${candidate} version)
      if(version VERSION_GREATER_EQUAL NINC_CUDA_MINIMUM AND version VERSION_LESS 13)
        set(NINC_PTXAS ${candidate})
        set(NINC_PTXAS_VERSION ${version})
      endif()
    endforeach()
  endif()
endif()

string(REGEX MATCH "^[0-9]+" major ${NINC_PTXAS_VERSION})
math(EXPR NINC_CUDA_DRIVER "${major} * 1000")
set(NINC_CUDA_DRIVER_TEXT ${major}.0)
# Drivers read zstd, the modes balance and size, since 12.4, and LZ4, the mode speed, before.
if(NOT NINC_CUDA_COMPRESS)
  set(NINC_CUDA_COMPRESSION none)
elseif(NINC_CUDA_DRIVER LESS 12040)
  set(NINC_CUDA_COMPRESSION speed)
else()
  set(NINC_CUDA_COMPRESSION size)
endif()
