/* The C interface: load a network and run it. C++ programs may use ninc/model.h instead.
 *
 *     ninc_model* model = NULL;
 *     if (ninc_model_load("nin.safetensors", &model) != NINC_OK) puts(ninc_last_error());
 *
 * Every call that can fail returns a ninc_status; what went wrong is one sentence from
 * ninc_last_error(). Several threads may run one model at once. */
#ifndef NINC_NINC_H_
#define NINC_NINC_H_

#include <stddef.h>
#include <stdint.h>

#include "ninc/export.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ninc_status {
  NINC_OK = 0,
  NINC_INVALID_SHAPE = 1,    /* the input does not fit the network */
  NINC_INVALID_ARGUMENT = 2, /* a null pointer, a buffer too small, a number out of range */
  NINC_INVALID_MODEL = 3,    /* not a ninc model file, or a damaged one */
  NINC_DEVICE = 4,
  NINC_IO = 5, /* the operating system refused to read the file */
  NINC_OUT_OF_MEMORY = 6,
  NINC_INTERNAL = 7, /* a bug in ninc */
  NINC_CANCELLED = 8 /* another thread ended the call, see ninc_model_cancel */
} ninc_status;

typedef struct ninc_model ninc_model;

/* The last failed call's message on this thread, "" before the first; valid until the thread's next
 * failed call. Names the file or layer, what it got and what it needs. */
NINC_API const char* ninc_last_error(void);

/* "0.1.0" */
NINC_API const char* ninc_version(void);

/* Threads a run may use, at least 1. Before the first call: NINC_NUM_THREADS, else the processors
 * this process may use. */
NINC_API ninc_status ninc_set_num_threads(int threads);

/* Reads a model file. On success *model is to be given to ninc_model_free; else it is NULL. */
NINC_API ninc_status ninc_model_load(const char* path, ninc_model** model);

/* The same from `size` bytes in memory, which may be freed afterwards. */
NINC_API ninc_status ninc_model_load_memory(const void* data, size_t size, ninc_model** model);

/* Where the model runs from now on, "cpu" (at first) or "cuda"; arrays go in and come out as
 * before. NINC_DEVICE, with the reason, where there is no such device: the model then runs where it
 * did. */
NINC_API ninc_status ninc_model_set_device(ninc_model* model, const char* device);

/* C of the N×C×H×W input. */
NINC_API ninc_status ninc_model_input_channels(const ninc_model* model, int64_t* channels);

/* The output's N, C, H, W for an input of N, C, H, W: 1×10×1×1 for a classifier of ten classes. */
NINC_API ninc_status ninc_model_output_shape(ninc_model* model, const int64_t input_shape[4],
                                             int64_t output_shape[4]);

/* y = network(x) in inference mode.
 *   x: N×C×H×W floats of `input_shape`, contiguous, W the fastest
 *   y: room for `capacity` floats, at least the output shape's product, written N×C×H×W */
NINC_API ninc_status ninc_model_run(ninc_model* model, const int64_t input_shape[4], const float* x,
                                    float* y, size_t capacity);

/* The text stored in the file under `key`, NULL where there is none: "classes" (a JSON list of
 * names), "preprocessing" (JSON). Valid as long as the model. */
NINC_API ninc_status ninc_model_metadata(const ninc_model* model, const char* key,
                                         const char** text);

/* NULL is allowed. The model must not be running. */
NINC_API ninc_status ninc_model_free(ninc_model* model);

#ifdef __cplusplus
}
#endif

#endif /* NINC_NINC_H_ */
