# What the building machine's processor runs, for what is run where it is built: NINC_RUNS_HASWELL
# (AVX2 and what came with it) and NINC_RUNS_AVX512 (Skylake's). What is shipped never asks.

include(CheckCXXSourceRuns)

function(ninc_check_processor variable)
  set(condition 1)
  foreach(feature IN LISTS ARGN)
    string(APPEND condition " && __builtin_cpu_supports(\"${feature}\")")
  endforeach()
  set(CMAKE_REQUIRED_FLAGS "")
  check_cxx_source_runs("
#if !defined(__x86_64__)
#error only x86-64 has these
#endif
int main() { return ${condition} ? 0 : 1; }" ${variable})
endfunction()

ninc_check_processor(NINC_RUNS_HASWELL avx2 fma bmi bmi2 aes pclmul)
ninc_check_processor(NINC_RUNS_AVX512 avx512f avx512cd avx512bw avx512dq avx512vl)
