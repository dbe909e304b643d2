// The PTX that convolutions need and CUDA C++ has no name for: products on tensor cores with
// fragments whose layout is documented (unlike wmma's), so that bank conflicts can be excluded, and
// copies from global to shared memory that bypass the registers. All inline PTX stands here.
#pragma once

#include <cstdint>

// Cards before compute capability 8.0 have neither tensor cores that take TF32 nor these copies.
// There are no kernels of such products for them, and their copies are loads and stores.
#define NINC_HAS_TF32 (__CUDA_ARCH__ >= 800)

namespace ninc::cuda {

// Tensor cores take TF32, 8 bits of exponent and 10 of fraction, from a float32's upper bits and
// ignore the other 13. cvt.rna.tf32.f32 would round, in five instructions a value: more than the
// products themselves leave time for.

// x with the ignored bits cleared: x - CutToTf32(x) is exact.
__device__ __forceinline__ float CutToTf32(float x) {
  return __uint_as_float(__float_as_uint(x) & 0xffffe000u);
}

// A float32 whose upper bits are x rounded to TF32, in one multiplication: a little more than x, by
// what cutting takes away on the average. Values that TF32 has stay as they are; the error of
// others is less than 0.64 * 2^-10 of them. NaN and infinity stay.
__device__ __forceinline__ float RoundToTf32(float x) { return x * (1.0f + 0.72f * 0x1p-11f); }

// D(i,j) = C(i,j) + sum over k < 8 of A(i,k) * B(k,j), A: 16×8, B: 8×8, values in TF32. With
// g = lane / 4 and t = lane % 4 a lane holds
//     a[0] = A(g,t)     a[1] = A(g+8,t)     a[2] = A(g,t+4)     a[3] = A(g+8,t+4)
//     b[0] = B(t,g)     b[1] = B(t+4,g)
//     c[0] = C(g,2t)    c[1] = C(g,2t+1)    c[2] = C(g+8,2t)    c[3] = C(g+8,2t+1)
__device__ __forceinline__ void MmaTf32(const float (&a)[4], const float (&b)[2], float (&c)[4]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
        "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
}

// D = A * B, the same without C.
__device__ __forceinline__ void MmaTf32First(const float (&a)[4], const float (&b)[2],
                                             float (&d)[4]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%10,%10,%10,%10};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
        "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])),
        "f"(0.0f));
}

// A value found once and kept in a register: left to itself the compiler finds a thread's addresses
// anew each turn of a loop, through special registers that take longer to read than a turn has
// time.
__device__ __forceinline__ uint32_t Kept(uint32_t value) {
  asm volatile("" : "+r"(value));
  return value;
}

// The address of shared memory that copies and loads take.
__device__ __forceinline__ uint32_t SharedAddress(const void* shared) {
  return Kept(static_cast<uint32_t>(__cvta_generic_to_shared(shared)));
}

// Loads from shared memory, by its addresses.
__device__ __forceinline__ float Load1(uint32_t from) {
  float v;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(from));
  return v;
}
__device__ __forceinline__ float2 Load2(uint32_t from) {
  float2 v;
  asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];" : "=f"(v.x), "=f"(v.y) : "r"(from));
  return v;
}
__device__ __forceinline__ int2 LoadInt2(uint32_t from) {
  int2 v;
  asm volatile("ld.shared.v2.s32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(from));
  return v;
}
__device__ __forceinline__ float4 Load4(uint32_t from) {
  float4 v;
  asm volatile("ld.shared.v4.f32 {%0,%1,%2,%3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(from));
  return v;
}

#if NINC_HAS_TF32

// Starts a copy of 16 or 4 bytes to shared memory, or writes zeros where `valid` is false: `from`
// is then not read and may be any address.
__device__ __forceinline__ void CopyAsync16(uint32_t to, const float* from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to),
               "l"(__cvta_generic_to_global(from)), "r"(valid ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void CopyAsync4(uint32_t to, const float* from, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to),
               "l"(__cvta_generic_to_global(from)), "r"(valid ? 4 : 0)
               : "memory");
}

// Closes the group of the copies this thread has started since the last one.
__device__ __forceinline__ void CommitCopies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until no more than kPending of this thread's youngest groups are under way.
template <int kPending>
__device__ __forceinline__ void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

#else

// The same, done when they return: who waits for a group waits for nothing.
__device__ __forceinline__ void CopyAsync16(uint32_t to, const float* from, bool valid) {
  float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  if (valid) v = *reinterpret_cast<const float4*>(from);
  asm volatile("st.shared.v4.f32 [%0], {%1,%2,%3,%4};" ::"r"(to), "f"(v.x), "f"(v.y), "f"(v.z),
               "f"(v.w)
               : "memory");
}
__device__ __forceinline__ void CopyAsync4(uint32_t to, const float* from, bool valid) {
  float v = 0.0f;
  if (valid) v = *from;
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(to), "f"(v) : "memory");
}
__device__ __forceinline__ void CommitCopies() {}
template <int kPending>
__device__ __forceinline__ void WaitForCopies() {}

#endif  // NINC_HAS_TF32

}  // namespace ninc::cuda
