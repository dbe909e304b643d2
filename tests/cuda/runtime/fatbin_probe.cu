// Something to compile, for the test of the reader of fatbins.
extern "C" __global__ void ninc_probe(float* x) {
  __shared__ float shared[256];
  shared[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = shared[255 - threadIdx.x] + 1.0F;
}
