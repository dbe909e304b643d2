# One call of nvcc. The registers, spills and shared memory that ptxas reports go to a log, which
# tests and reports read; what a builder should see, warnings and errors, goes to the terminal.
# Usage: cmake -DLOG=file -P CompileKernels.cmake -- nvcc arguments...

set(command)
set(after_separator FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(index RANGE ${last})
  if(after_separator)
    list(APPEND command "${CMAKE_ARGV${index}}")
  elseif(CMAKE_ARGV${index} STREQUAL "--")
    set(after_separator TRUE)
  endif()
endforeach()

execute_process(COMMAND ${command} RESULT_VARIABLE result OUTPUT_VARIABLE output
                ERROR_VARIABLE output)
file(WRITE ${LOG} "${output}")
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${output}")
endif()
string(REGEX MATCHALL "[^\n]*warning[^\n]*" warnings "${output}")
foreach(warning IN LISTS warnings)
  message("${warning}")
endforeach()
