# The CUDA backend: finds nvcc, compiles each cuda/*.cu into one fatbin and puts the fatbins into
# the library as data. The host's side is plain C++, which includes and links nothing of CUDA.
#
# A binary runs on drivers of the major version of the ptxas that made it and on later ones, so a
# ptxas of CUDA 12 beside an nvcc of CUDA 13 is what lets kernels run on drivers of CUDA 12.
#
# Sets NINC_CUDA_SOURCES, what libninc is made of, and NINC_CUDA_DEFINITIONS.

set(NINC_CUDA AUTO CACHE STRING "CUDA kernels: AUTO (where nvcc is found), ON or OFF")
set(NINC_CUDA_ARCHITECTURES 75 80 90 100 120 CACHE STRING
    "Compute capabilities to compile binaries for; PTX of 75 and 80 comes with them always")
set(NINC_CUDA_COMPRESS ON CACHE BOOL
    "Compress the kernels in the library; OFF leaves their PTX as text, for the emulated driver")
set(NINC_CUDA_PTXAS "" CACHE FILEPATH
    "The ptxas that makes the binaries, of CUDA 12.8 or later; empty: one of CUDA 12 where pip has \
installed it (nvidia-cuda-nvcc-cu12) or in /usr/local, else nvcc's own")

set(NINC_CUDA_MINIMUM 12.8)  # the first that knows sm_100 and sm_120

set(NINC_CUDA_OFF_REASON)
if(NOT NINC_CUDA)
  set(NINC_CUDA_OFF_REASON "NINC_CUDA is ${NINC_CUDA}")
else()
  # On the path, where the toolkit installs itself, in a conda environment, or in pip's wheels
  # (nvidia-cuda-nvcc with nvidia-cuda-runtime, and crt and nvvm of the same version).
  file(GLOB NINC_PIP_TOOLKITS ${Python_SITELIB}/nvidia/cu1*)
  find_program(NINC_NVCC nvcc
               HINTS ENV CUDA_HOME ENV CUDA_PATH ENV CONDA_PREFIX
               PATHS /usr/local/cuda ${NINC_PIP_TOOLKITS} PATH_SUFFIXES bin)
  if(NOT NINC_NVCC)
    set(NINC_CUDA_OFF_REASON "there is no nvcc on the path")
  else()
    execute_process(COMMAND ${NINC_NVCC} --version OUTPUT_VARIABLE NINC_NVCC_OUTPUT ERROR_QUIET)
    set(NINC_NVCC_VERSION 0)
    if(NINC_NVCC_OUTPUT MATCHES "release ([0-9]+)\\.([0-9]+)")
      set(NINC_NVCC_VERSION ${CMAKE_MATCH_1}.${CMAKE_MATCH_2})
    endif()
    if(NINC_NVCC_VERSION VERSION_LESS NINC_CUDA_MINIMUM)
      set(NINC_CUDA_OFF_REASON
          "${NINC_NVCC} is of CUDA ${NINC_NVCC_VERSION}, at least ${NINC_CUDA_MINIMUM} is needed")
    elseif(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
      set(NINC_CUDA_OFF_REASON "CUDA is for Linux here, got ${CMAKE_SYSTEM_NAME}")
    else()
      # nvcc may lack its parts, or refuse the compiler for the host: better known now than later.
      set(NINC_NVCC_HOST)
      if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        set(NINC_NVCC_HOST -ccbin ${CMAKE_CXX_COMPILER})
      endif()
      file(WRITE ${PROJECT_BINARY_DIR}/cuda/probe.cu "__global__ void probe() {}\n")
      set(NINC_NVCC_PROBE ${NINC_NVCC} ${NINC_NVCC_HOST} -std=c++20 -arch=compute_80 -fatbin
          -o ${PROJECT_BINARY_DIR}/cuda/probe.fatbin ${PROJECT_BINARY_DIR}/cuda/probe.cu)
      if(NOT NINC_NVCC_PROBED STREQUAL "${NINC_NVCC_PROBE}")
        execute_process(COMMAND ${NINC_NVCC_PROBE} RESULT_VARIABLE result
                        OUTPUT_VARIABLE output ERROR_VARIABLE output)
        if(result EQUAL 0)
          set(NINC_NVCC_PROBED "${NINC_NVCC_PROBE}" CACHE INTERNAL "What was seen to work")
        else()
          string(STRIP "${output}" output)
          set(NINC_CUDA_OFF_REASON "${NINC_NVCC} cannot compile an empty kernel: ${output}")
        endif()
      endif()
    endif()
  endif()
endif()

if(NINC_CUDA_OFF_REASON)
  if(NINC_CUDA AND NOT NINC_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "NINC_CUDA is ${NINC_CUDA}, but ${NINC_CUDA_OFF_REASON}")
  endif()
  message(STATUS "CUDA: no kernels in this build: ${NINC_CUDA_OFF_REASON}")
  set(NINC_HAS_CUDA FALSE)
  set(NINC_CUDA_SOURCES cuda/runtime/unavailable.cc)
  set(NINC_CUDA_DEFINITIONS)
  return()
endif()
set(NINC_HAS_CUDA TRUE)

include(NincCudaTools)

# ---- Compiling -----------------------------------------------------------------------------------
# -fmad=false as -ffp-contract=off for the host: a product and a sum are fused where the source says
# fma and nowhere else.
set(NINC_NVCC_FLAGS -std=c++20 -O3 -fmad=false -I ${PROJECT_SOURCE_DIR}
                    -I ${PROJECT_SOURCE_DIR}/cpp -I ${PROJECT_SOURCE_DIR}/cpp/include
                    ${NINC_NVCC_HOST})
if(NINC_WERROR)
  list(APPEND NINC_NVCC_FLAGS -Werror all-warnings)
endif()
# 7.5 without tensor cores, whose kernels a card of its own kind alone takes; 8.0 for all later ones.
set(NINC_CUDA_VIRTUAL 75 80)
set(NINC_CUDA_TARGETS "CUDA ${NINC_PTXAS_VERSION}, drivers from ${NINC_CUDA_DRIVER_TEXT}:")
foreach(architecture IN LISTS NINC_CUDA_ARCHITECTURES)
  string(APPEND NINC_CUDA_TARGETS " sm_${architecture}")
endforeach()
foreach(architecture IN LISTS NINC_CUDA_VIRTUAL)
  string(APPEND NINC_CUDA_TARGETS " compute_${architecture}")
endforeach()

# Kernels of one pass over memory that most networks do without go along as PTX alone: the
# driver assembles them in a moment, once, and keeps them, and the wheel is half a megabyte smaller.
set(NINC_CUDA_PTX_ALONE adam binary function local_response_norm prelu window)

set(NINC_CUDA_DIR ${PROJECT_BINARY_DIR}/cuda)
file(MAKE_DIRECTORY ${NINC_CUDA_DIR})
file(GLOB_RECURSE NINC_KERNEL_SOURCES CONFIGURE_DEPENDS cuda/*.cu)
set(NINC_FATBINS)
set(NINC_MODULE_LIST)
foreach(name IN LISTS NINC_CUDA_PTX_ALONE)
  if(NOT NINC_KERNEL_SOURCES MATCHES "/${name}\\.cu")
    message(FATAL_ERROR "NINC_CUDA_PTX_ALONE: there is no ${name}.cu")
  endif()
endforeach()
foreach(source IN LISTS NINC_KERNEL_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  set(fatbin ${NINC_CUDA_DIR}/${name}.fatbin)
  set(binaries ON)
  if(name IN_LIST NINC_CUDA_PTX_ALONE)
    set(binaries OFF)
  endif()
  add_custom_command(
      OUTPUT ${fatbin}
      COMMAND ${CMAKE_COMMAND} -DSOURCE=${source} -DFATBIN=${fatbin}
              -DLOG=${NINC_CUDA_DIR}/${name}.log -DPTXAS=${NINC_PTXAS}
              -DFATBINARY=${NINC_FATBINARY} -DCOMPRESS=${NINC_CUDA_COMPRESSION}
              -DBINARIES=${binaries}
              "-DVIRTUAL=${NINC_CUDA_VIRTUAL}" "-DREAL=${NINC_CUDA_ARCHITECTURES}"
              -P ${PROJECT_SOURCE_DIR}/cmake/CompileKernels.cmake -- ${NINC_NVCC} ${NINC_NVCC_FLAGS}
      DEPENDS ${source} ${PROJECT_SOURCE_DIR}/cmake/CompileKernels.cmake
      DEPFILE ${fatbin}.d
      COMMENT "Compiling kernels ${name}.cu"
      VERBATIM)
  list(APPEND NINC_FATBINS ${fatbin})
  string(APPEND NINC_MODULE_LIST "NINC_CUDA_MODULE(${name}, \"${fatbin}\")\n")
endforeach()

# ---- Embedding -----------------------------------------------------------------------------------
# cuda/runtime/modules.cc includes the list and the assembler reads the files, so it is compiled
# again when one of them changes.
file(CONFIGURE OUTPUT ${NINC_CUDA_DIR}/generated/cuda_modules.inc CONTENT "${NINC_MODULE_LIST}")
set_property(SOURCE cuda/runtime/modules.cc APPEND PROPERTY OBJECT_DEPENDS "${NINC_FATBINS}")
set_property(SOURCE cuda/runtime/modules.cc APPEND PROPERTY
             INCLUDE_DIRECTORIES ${NINC_CUDA_DIR}/generated)

file(GLOB_RECURSE NINC_CUDA_SOURCES CONFIGURE_DEPENDS cuda/*.cc)
list(FILTER NINC_CUDA_SOURCES EXCLUDE REGEX "/unavailable\\.cc$")
set(NINC_CUDA_DEFINITIONS NINC_CUDA=1 NINC_CUDA_DRIVER=${NINC_CUDA_DRIVER})
set_property(SOURCE cuda/runtime/devices.cc APPEND PROPERTY
             COMPILE_DEFINITIONS NINC_CUDA_TARGETS="${NINC_CUDA_TARGETS}")
message(STATUS "CUDA: kernels by ${NINC_NVCC}, ${NINC_CUDA_TARGETS}")
