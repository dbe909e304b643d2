// Our declarations of the driver's ABI against the driver's own, in cuda.h. All of it is checked by
// the compiler; the test is that this file compiles.
#include "cuda/runtime/driver_types.h"

#include <cuda.h>
#include <gtest/gtest.h>

#include <type_traits>

namespace ninc::cuda {
namespace {

template <typename A, typename B>
constexpr bool SameParameter() {
  return sizeof(A) == sizeof(B) && std::is_pointer<A>::value == std::is_pointer<B>::value;
}

template <typename Ours, typename Theirs>
struct SameFunction : std::false_type {};
template <typename... A, typename... B>
requires(sizeof...(A) ==
         sizeof...(B)) struct SameFunction<abi::Result (*)(A...), CUresult (*)(B...)>
    : std::bool_constant<(SameParameter<A, B>() && ...)> {
};

#define CHECK_FUNCTION(field, name, exported, parameters) \
  static_assert(SameFunction<abi::Result(*) parameters, decltype(&NINC_FUNCTION_##field)>::value);

#define CHECK_VALUE(ours, theirs) \
  static_assert(static_cast<int>(abi::ours) == static_cast<int>(theirs))

#define NINC_FUNCTION_Init cuInit
#define NINC_FUNCTION_DriverGetVersion cuDriverGetVersion
#define NINC_FUNCTION_GetErrorName cuGetErrorName
#define NINC_FUNCTION_GetErrorString cuGetErrorString
#define NINC_FUNCTION_DeviceGetCount cuDeviceGetCount
#define NINC_FUNCTION_DeviceGet cuDeviceGet
#define NINC_FUNCTION_DeviceGetName cuDeviceGetName
#define NINC_FUNCTION_DeviceGetAttribute cuDeviceGetAttribute
#define NINC_FUNCTION_DeviceTotalMem cuDeviceTotalMem
#define NINC_FUNCTION_DevicePrimaryCtxRetain cuDevicePrimaryCtxRetain
#define NINC_FUNCTION_DevicePrimaryCtxRelease cuDevicePrimaryCtxRelease
#define NINC_FUNCTION_CtxGetCurrent cuCtxGetCurrent
#define NINC_FUNCTION_CtxSetCurrent cuCtxSetCurrent
#define NINC_FUNCTION_ModuleLoadData cuModuleLoadData
#define NINC_FUNCTION_ModuleUnload cuModuleUnload
#define NINC_FUNCTION_ModuleGetFunction cuModuleGetFunction
#define NINC_FUNCTION_FuncGetAttribute cuFuncGetAttribute
#define NINC_FUNCTION_FuncSetAttribute cuFuncSetAttribute
#define NINC_FUNCTION_LaunchKernel cuLaunchKernel
#define NINC_FUNCTION_MemGetInfo cuMemGetInfo
#define NINC_FUNCTION_MemAlloc cuMemAlloc
#define NINC_FUNCTION_MemFree cuMemFree
#define NINC_FUNCTION_MemHostAlloc cuMemHostAlloc
#define NINC_FUNCTION_MemFreeHost cuMemFreeHost
#define NINC_FUNCTION_MemcpyHtoDAsync cuMemcpyHtoDAsync
#define NINC_FUNCTION_MemcpyDtoHAsync cuMemcpyDtoHAsync
#define NINC_FUNCTION_MemcpyDtoDAsync cuMemcpyDtoDAsync
#define NINC_FUNCTION_MemsetD8Async cuMemsetD8Async
#define NINC_FUNCTION_PointerGetAttribute cuPointerGetAttribute
#define NINC_FUNCTION_StreamCreate cuStreamCreate
#define NINC_FUNCTION_StreamDestroy cuStreamDestroy
#define NINC_FUNCTION_StreamSynchronize cuStreamSynchronize
#define NINC_FUNCTION_StreamBeginCapture cuStreamBeginCapture
#define NINC_FUNCTION_StreamEndCapture cuStreamEndCapture
#define NINC_FUNCTION_GraphInstantiate cuGraphInstantiateWithFlags
#define NINC_FUNCTION_GraphDestroy cuGraphDestroy
#define NINC_FUNCTION_GraphExecDestroy cuGraphExecDestroy
#define NINC_FUNCTION_GraphLaunch cuGraphLaunch
#define NINC_FUNCTION_EventCreate cuEventCreate
#define NINC_FUNCTION_EventDestroy cuEventDestroy
#define NINC_FUNCTION_EventRecord cuEventRecord
#define NINC_FUNCTION_EventSynchronize cuEventSynchronize
NINC_CUDA_FUNCTIONS(CHECK_FUNCTION)

CHECK_VALUE(kInvalidValue, CUDA_ERROR_INVALID_VALUE);
CHECK_VALUE(kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
CHECK_VALUE(kNotInitialized, CUDA_ERROR_NOT_INITIALIZED);
CHECK_VALUE(kDeinitialized, CUDA_ERROR_DEINITIALIZED);
CHECK_VALUE(kNoDevice, CUDA_ERROR_NO_DEVICE);
CHECK_VALUE(kInvalidDevice, CUDA_ERROR_INVALID_DEVICE);
CHECK_VALUE(kInvalidImage, CUDA_ERROR_INVALID_IMAGE);
CHECK_VALUE(kInvalidContext, CUDA_ERROR_INVALID_CONTEXT);
CHECK_VALUE(kNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU);
CHECK_VALUE(kEccUncorrectable, CUDA_ERROR_ECC_UNCORRECTABLE);
CHECK_VALUE(kInvalidPtx, CUDA_ERROR_INVALID_PTX);
CHECK_VALUE(kNvlinkUncorrectable, CUDA_ERROR_NVLINK_UNCORRECTABLE);
CHECK_VALUE(kUnsupportedPtxVersion, CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
CHECK_VALUE(kContained, CUDA_ERROR_CONTAINED);
CHECK_VALUE(kInvalidHandle, CUDA_ERROR_INVALID_HANDLE);
CHECK_VALUE(kNotFound, CUDA_ERROR_NOT_FOUND);
CHECK_VALUE(kNotReady, CUDA_ERROR_NOT_READY);
CHECK_VALUE(kIllegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS);
CHECK_VALUE(kLaunchOutOfResources, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
CHECK_VALUE(kLaunchTimeout, CUDA_ERROR_LAUNCH_TIMEOUT);
CHECK_VALUE(kContextIsDestroyed, CUDA_ERROR_CONTEXT_IS_DESTROYED);
CHECK_VALUE(kAssert, CUDA_ERROR_ASSERT);
CHECK_VALUE(kHardwareStackError, CUDA_ERROR_HARDWARE_STACK_ERROR);
CHECK_VALUE(kIllegalInstruction, CUDA_ERROR_ILLEGAL_INSTRUCTION);
CHECK_VALUE(kMisalignedAddress, CUDA_ERROR_MISALIGNED_ADDRESS);
CHECK_VALUE(kInvalidAddressSpace, CUDA_ERROR_INVALID_ADDRESS_SPACE);
CHECK_VALUE(kInvalidPc, CUDA_ERROR_INVALID_PC);
CHECK_VALUE(kLaunchFailed, CUDA_ERROR_LAUNCH_FAILED);
CHECK_VALUE(kTensorMemoryLeak, CUDA_ERROR_TENSOR_MEMORY_LEAK);
CHECK_VALUE(kStreamCaptureUnsupported, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
CHECK_VALUE(kStreamCaptureInvalidated, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
CHECK_VALUE(kStreamCaptureUnmatched, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
CHECK_VALUE(kExternalDevice, CUDA_ERROR_EXTERNAL_DEVICE);
CHECK_VALUE(kMultiprocessorCount, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
CHECK_VALUE(kComputeCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
CHECK_VALUE(kComputeCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
CHECK_VALUE(kMaxSharedMemoryPerBlockOptin, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
CHECK_VALUE(kMaxThreadsPerBlock, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
CHECK_VALUE(kSharedSizeBytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
CHECK_VALUE(kMaxDynamicSharedSizeBytes, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
CHECK_VALUE(kPointerMemoryType, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
CHECK_VALUE(kPointerDeviceOrdinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
CHECK_VALUE(kMemoryHost, CU_MEMORYTYPE_HOST);
CHECK_VALUE(kMemoryDevice, CU_MEMORYTYPE_DEVICE);
CHECK_VALUE(kCaptureRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED);
CHECK_VALUE(kStreamNonBlocking, CU_STREAM_NON_BLOCKING);
CHECK_VALUE(kEventDisableTiming, CU_EVENT_DISABLE_TIMING);

TEST(DriverTypesTest, AreTheDriversOwn) {
  // Newer headers may give a function a new meaning under its old name; ours are those of 12.0.
  EXPECT_GE(CUDA_VERSION, 12000);
}

}  // namespace
}  // namespace ninc::cuda
