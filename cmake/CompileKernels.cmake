# One .cu file to one fatbin: nvcc makes the PTX, a ptxas, which may be of an older CUDA than nvcc,
# the binaries, and fatbinary packs them. The registers, spills and shared memory that ptxas reports
# go to LOG, which tests and reports read; what a builder should see, warnings and errors, goes to
# the terminal.
#
#   cmake -DSOURCE=x.cu -DFATBIN=x.fatbin -DLOG=x.log -DPTXAS=... -DFATBINARY=... -DCOMPRESS=mode
#         "-DVIRTUAL=75;80"  compute capabilities of the PTX
#         "-DREAL=80;90"     those of the binaries, each of the newest PTX not above it
#         -DBINARIES=ON      OFF: they are made for what ptxas reports, and left out of the fatbin
#         -P CompileKernels.cmake -- nvcc arguments...

# The version of PTX that the fatbin holds, which each driver of CUDA 12 reads and which knows every
# instruction here. nvcc writes its own version, which drivers older than nvcc refuse.
set(PTX_VERSION 7.8)

set(nvcc)
set(after_separator FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(index RANGE ${last})
  if(after_separator)
    list(APPEND nvcc "${CMAKE_ARGV${index}}")
  elseif(CMAKE_ARGV${index} STREQUAL "--")
    set(after_separator TRUE)
  endif()
endforeach()

set(log)
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output
                  ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${output}")
  endif()
  string(REGEX MATCHALL "[^\n]*warning[^\n]*" warnings "${output}")
  foreach(warning IN LISTS warnings)
    message("${warning}")
  endforeach()
  set(log "${log}${output}" PARENT_SCOPE)
endfunction()

# used_bytes_mask tells ptxas which bytes of a wide load are used: a hint, unknown before PTX 8.3.
# Names of anonymous namespaces hold a hash of the source's path. Without it a source gives the same
# bytes in any folder; each file is a module of its own, where these names stay distinct.
set(hex "[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]")
function(lower_ptx file)
  file(READ ${file} text)
  string(REGEX REPLACE "\n\\.version [0-9.]+" "\n.version ${PTX_VERSION}" text "${text}")
  string(REGEX REPLACE "\n[ \t]*\\.pragma \"used_bytes_mask[^\n]*" "" text "${text}")
  string(REGEX REPLACE "(_INTERNAL|_GLOBAL__N_)_${hex}_([0-9]+_[a-z0-9_]+_cu)_${hex}"
         "\\1_00000000_\\2_00000000" text "${text}")
  file(WRITE ${file} "${text}")
endfunction()

string(REGEX REPLACE "\\.fatbin$" "" stem "${FATBIN}")
set(images)
foreach(virtual IN LISTS VIRTUAL)
  set(ptx ${stem}.${virtual}.ptx)
  run(${nvcc} -arch=compute_${virtual} -MD -MF ${FATBIN}.d -MT ${FATBIN} -ptx -o ${ptx} ${SOURCE})
  lower_ptx(${ptx})
  list(APPEND images --image3=kind=ptx,sm=${virtual},file=${ptx})
endforeach()
foreach(real IN LISTS REAL)
  foreach(virtual IN LISTS VIRTUAL)
    if(virtual LESS_EQUAL real)
      set(ptx ${stem}.${virtual}.ptx)
    endif()
  endforeach()
  # --fmad as nvcc passes it on: ptxas too could fuse a product and a sum.
  set(cubin ${stem}.${real}.cubin)
  run(${PTXAS} -arch=sm_${real} -m64 -v --fmad false ${ptx} -o ${cubin})
  if(BINARIES)
    list(APPEND images --image3=kind=elf,sm=${real},file=${cubin})
  endif()
endforeach()
run(${FATBINARY} -64 --create=${FATBIN} --compress-all --compress-mode=${COMPRESS} ${images})
file(WRITE ${LOG} "${log}")
