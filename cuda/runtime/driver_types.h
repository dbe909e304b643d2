// The part of the CUDA driver's public ABI that is used here, declared by ourselves: the build
// needs no CUDA headers on the host's side, and the library links to nothing of CUDA.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ninc::cuda::abi {

using Device = int;
using DevicePointer = uint64_t;
// The driver's handles are pointers to structs it never shows; one struct each keeps them apart.
using Context = struct ContextHandle*;
using Module = struct ModuleHandle*;
using Function = struct FunctionHandle*;
using Stream = struct StreamHandle*;
using Event = struct EventHandle*;
using Graph = struct GraphHandle*;
using GraphExec = struct GraphExecHandle*;

enum Result : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kDeinitialized = 4,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kInvalidContext = 201,
  kNoBinaryForGpu = 209,
  kEccUncorrectable = 214,
  kInvalidPtx = 218,
  kNvlinkUncorrectable = 220,
  kUnsupportedPtxVersion = 222,
  kContained = 226,
  kInvalidHandle = 400,
  kNotFound = 500,
  kNotReady = 600,
  kIllegalAddress = 700,
  kLaunchOutOfResources = 701,
  kLaunchTimeout = 702,
  kContextIsDestroyed = 709,
  kAssert = 710,
  kHardwareStackError = 714,
  kIllegalInstruction = 715,
  kMisalignedAddress = 716,
  kInvalidAddressSpace = 717,
  kInvalidPc = 718,
  kLaunchFailed = 719,
  kTensorMemoryLeak = 721,
  kStreamCaptureUnsupported = 900,
  kStreamCaptureInvalidated = 901,
  kStreamCaptureUnmatched = 903,
  kExternalDevice = 911,
};

enum DeviceAttribute : int {
  kMultiprocessorCount = 16,
  kComputeCapabilityMajor = 75,
  kComputeCapabilityMinor = 76,
  kMaxSharedMemoryPerBlockOptin = 97,
};

enum FunctionAttribute : int {
  kMaxThreadsPerBlock = 0,
  kSharedSizeBytes = 1,
  kMaxDynamicSharedSizeBytes = 8,
};

enum PointerAttribute : int { kPointerMemoryType = 2, kPointerDeviceOrdinal = 9 };
enum MemoryType : unsigned { kMemoryHost = 1, kMemoryDevice = 2 };
enum StreamCaptureMode : int { kCaptureGlobal = 0, kCaptureThreadLocal = 1, kCaptureRelaxed = 2 };

inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kEventDisableTiming = 2;

}  // namespace ninc::cuda::abi

// Every driver function used: X(field of Driver, name for cuGetProcAddress, exported name, type).
// The exported name carries the version that the type is of.
#define NINC_CUDA_FUNCTIONS(X)                                                                     \
  X(Init, "cuInit", "cuInit", (unsigned flags))                                                    \
  X(DriverGetVersion, "cuDriverGetVersion", "cuDriverGetVersion", (int* version))                  \
  X(GetErrorName, "cuGetErrorName", "cuGetErrorName", (abi::Result code, const char** name))       \
  X(GetErrorString, "cuGetErrorString", "cuGetErrorString", (abi::Result code, const char** text)) \
  X(DeviceGetCount, "cuDeviceGetCount", "cuDeviceGetCount", (int* count))                          \
  X(DeviceGet, "cuDeviceGet", "cuDeviceGet", (abi::Device * device, int ordinal))                  \
  X(DeviceGetName, "cuDeviceGetName", "cuDeviceGetName",                                           \
    (char* name, int bytes, abi::Device device))                                                   \
  X(DeviceGetAttribute, "cuDeviceGetAttribute", "cuDeviceGetAttribute",                            \
    (int* value, abi::DeviceAttribute attribute, abi::Device device))                              \
  X(DeviceTotalMem, "cuDeviceTotalMem", "cuDeviceTotalMem_v2",                                     \
    (size_t * bytes, abi::Device device))                                                          \
  X(DevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRetain",                \
    (abi::Context * context, abi::Device device))                                                  \
  X(DevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease", "cuDevicePrimaryCtxRelease_v2",          \
    (abi::Device device))                                                                          \
  X(CtxGetCurrent, "cuCtxGetCurrent", "cuCtxGetCurrent", (abi::Context * context))                 \
  X(CtxSetCurrent, "cuCtxSetCurrent", "cuCtxSetCurrent", (abi::Context context))                   \
  X(ModuleLoadData, "cuModuleLoadData", "cuModuleLoadData",                                        \
    (abi::Module * module, const void* image))                                                     \
  X(ModuleUnload, "cuModuleUnload", "cuModuleUnload", (abi::Module module))                        \
  X(ModuleGetFunction, "cuModuleGetFunction", "cuModuleGetFunction",                               \
    (abi::Function * function, abi::Module module, const char* name))                              \
  X(FuncGetAttribute, "cuFuncGetAttribute", "cuFuncGetAttribute",                                  \
    (int* value, abi::FunctionAttribute attribute, abi::Function function))                        \
  X(FuncSetAttribute, "cuFuncSetAttribute", "cuFuncSetAttribute",                                  \
    (abi::Function function, abi::FunctionAttribute attribute, int value))                         \
  X(LaunchKernel, "cuLaunchKernel", "cuLaunchKernel",                                              \
    (abi::Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,  \
     unsigned block_y, unsigned block_z, unsigned shared_bytes, abi::Stream stream,                \
     void** parameters, void** extra))                                                             \
  X(MemGetInfo, "cuMemGetInfo", "cuMemGetInfo_v2", (size_t * free_bytes, size_t * total_bytes))    \
  X(MemAlloc, "cuMemAlloc", "cuMemAlloc_v2", (abi::DevicePointer * pointer, size_t bytes))         \
  X(MemFree, "cuMemFree", "cuMemFree_v2", (abi::DevicePointer pointer))                            \
  X(MemHostAlloc, "cuMemHostAlloc", "cuMemHostAlloc",                                              \
    (void** pointer, size_t bytes, unsigned flags))                                                \
  X(MemFreeHost, "cuMemFreeHost", "cuMemFreeHost", (void* pointer))                                \
  X(MemcpyHtoDAsync, "cuMemcpyHtoDAsync", "cuMemcpyHtoDAsync_v2",                                  \
    (abi::DevicePointer to, const void* from, size_t bytes, abi::Stream stream))                   \
  X(MemcpyDtoHAsync, "cuMemcpyDtoHAsync", "cuMemcpyDtoHAsync_v2",                                  \
    (void* to, abi::DevicePointer from, size_t bytes, abi::Stream stream))                         \
  X(MemcpyDtoDAsync, "cuMemcpyDtoDAsync", "cuMemcpyDtoDAsync_v2",                                  \
    (abi::DevicePointer to, abi::DevicePointer from, size_t bytes, abi::Stream stream))            \
  X(MemsetD8Async, "cuMemsetD8Async", "cuMemsetD8Async",                                           \
    (abi::DevicePointer to, unsigned char value, size_t bytes, abi::Stream stream))                \
  X(PointerGetAttribute, "cuPointerGetAttribute", "cuPointerGetAttribute",                         \
    (void* value, abi::PointerAttribute attribute, abi::DevicePointer pointer))                    \
  X(StreamCreate, "cuStreamCreate", "cuStreamCreate", (abi::Stream * stream, unsigned flags))      \
  X(StreamDestroy, "cuStreamDestroy", "cuStreamDestroy_v2", (abi::Stream stream))                  \
  X(StreamSynchronize, "cuStreamSynchronize", "cuStreamSynchronize", (abi::Stream stream))         \
  X(StreamBeginCapture, "cuStreamBeginCapture", "cuStreamBeginCapture_v2",                         \
    (abi::Stream stream, abi::StreamCaptureMode mode))                                             \
  X(StreamEndCapture, "cuStreamEndCapture", "cuStreamEndCapture",                                  \
    (abi::Stream stream, abi::Graph * graph))                                                      \
  X(GraphInstantiate, "cuGraphInstantiateWithFlags", "cuGraphInstantiateWithFlags",                \
    (abi::GraphExec * executable, abi::Graph graph, unsigned long long flags))                     \
  X(GraphDestroy, "cuGraphDestroy", "cuGraphDestroy", (abi::Graph graph))                          \
  X(GraphExecDestroy, "cuGraphExecDestroy", "cuGraphExecDestroy", (abi::GraphExec executable))     \
  X(GraphLaunch, "cuGraphLaunch", "cuGraphLaunch",                                                 \
    (abi::GraphExec executable, abi::Stream stream))                                               \
  X(EventCreate, "cuEventCreate", "cuEventCreate", (abi::Event * event, unsigned flags))           \
  X(EventDestroy, "cuEventDestroy", "cuEventDestroy_v2", (abi::Event event))                       \
  X(EventRecord, "cuEventRecord", "cuEventRecord", (abi::Event event, abi::Stream stream))         \
  X(EventSynchronize, "cuEventSynchronize", "cuEventSynchronize", (abi::Event event))
