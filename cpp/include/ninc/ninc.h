/* The C interface: load a network and run it. C++ programs may use ninc/model.h instead.
 *
 *     ninc_model* model = NULL;
 *     if (ninc_model_load("nin.safetensors", &model) != NINC_OK) puts(ninc_last_error());
 *
 * Every call that can fail returns a ninc_status; what went wrong is one sentence from
 * ninc_last_error(). Several threads may use one model at once: any
 * call but ninc_model_free may be made beside those that run. */
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

/* Writes the model, with all that was stored in its file, to `path`: whole, or not at all. */
NINC_API ninc_status ninc_model_save(const ninc_model* model, const char* path);

/* Where the model runs from now on, "cpu" (at first) or "cuda"; arrays go in and come out as
 * before. NINC_DEVICE, with the reason, where there is no such device: the model then runs where it
 * did. */
NINC_API ninc_status ninc_model_set_device(ninc_model* model, const char* device);

/* How precise runs are from now on: "float32" (at first); "strict", plain sums of plain products;
 * "fast", about three digits where the device gains by it. */
NINC_API ninc_status ninc_model_set_precision(ninc_model* model, const char* precision);

/* Bounds what the model keeps from one run to the next (plans, packed weights, idle memory) to so
 * many bytes; at first 512 MiB. What the last run used stays even where it is larger. */
NINC_API ninc_status ninc_model_set_plan_cache_bytes(ninc_model* model, size_t bytes);

/* What is kept so now, in bytes. */
NINC_API ninc_status ninc_model_plan_cache_bytes(const ninc_model* model, size_t* bytes);

/* C of the N×C×H×W input: what the layers that read it take, or the stored preprocessing says.
 * NINC_INVALID_ARGUMENT where neither does, as with pools alone, which take any number. */
NINC_API ninc_status ninc_model_input_channels(const ninc_model* model, int64_t* channels);

/* The output's N, C, H, W for an input of N, C, H, W: 1×10×1×1 for a classifier of ten classes. */
NINC_API ninc_status ninc_model_output_shape(ninc_model* model, const int64_t input_shape[4],
                                             int64_t output_shape[4]);

/* y = network(x) in inference mode.
 *   x: N×C×H×W floats of `input_shape`, contiguous, W the fastest
 *   y: room for `capacity` floats, at least the output shape's product, written N×C×H×W */
NINC_API ninc_status ninc_model_run(ninc_model* model, const int64_t input_shape[4], const float* x,
                                    float* y, size_t capacity);

/* How many outputs the network has. Nearly all have one; of several the first is what all other
 * functions take for the network's output. */
NINC_API ninc_status ninc_model_num_outputs(const ninc_model* model, int64_t* outputs);

/* The name of the layer that gives output `index`, counted from 0. Valid as long as the model. */
NINC_API ninc_status ninc_model_output_name(const ninc_model* model, int64_t index,
                                            const char** name);

/* N, C, H, W of what the layer of this name gives for an input of N, C, H, W. */
NINC_API ninc_status ninc_model_layer_shape(ninc_model* model, const char* layer,
                                            const int64_t input_shape[4], int64_t shape[4]);

/* What `count` layers of the network give, outputs or inner ones, computed in one pass; layers that
 * none of these needs are not computed.
 *   x: as for ninc_model_run
 *   layers: their names, `count` of them
 *   y: for each, room for `capacities[i]` floats, at least its shape's product, written N×C×H×W */
NINC_API ninc_status ninc_model_run_layers(ninc_model* model, const int64_t input_shape[4],
                                           const float* x, size_t count, const char* const* layers,
                                           float* const* y, const size_t* capacities);

/* Ends the calls of this model that compute now, on other threads: they return NINC_CANCELLED
 * within some milliseconds, and what they were to write is undefined. Later calls are not
 * concerned. */
NINC_API ninc_status ninc_model_cancel(ninc_model* model);

/* The text stored in the file under `key`, NULL where there is none: "classes" (a JSON list of
 * names), "preprocessing" (JSON), "temperature" (a number). Valid as long as the model. */
NINC_API ninc_status ninc_model_metadata(const ninc_model* model, const char* key,
                                         const char** text);

/* How many classes a classifier tells apart: C of the output, whatever the input's size. */
NINC_API ninc_status ninc_model_num_classes(const ninc_model* model, int64_t* classes);

/* The stored name of class `index`, counted from 0; NULL where the file has none for it. Valid as
 * long as the model. */
NINC_API ninc_status ninc_model_class_name(const ninc_model* model, int64_t index,
                                           const char** name);

/* The `top` likeliest classes of each picture and their probabilities, likeliest first and of
 * equals the one of the lower index. The model must have its preprocessing stored, as a trained one
 * has: pictures of any size are cut, padded or squashed to the network's, grey becomes RGB or RGB
 * grey, and values are normalised as in training. Where the file has a temperature T, probabilities
 * are softmax(scores / T), as `predict` has them in Python; ninc_model_run gives the scores
 * themselves.
 *   pixels: count×height×width×channels bytes, RGB (channels 3) or grey (1)
 *   top: from 1 to the number of classes
 *   classes, probabilities: count×top, picture after picture */
NINC_API ninc_status ninc_model_classify(ninc_model* model, const uint8_t* pixels, int64_t count,
                                         int64_t height, int64_t width, int64_t channels,
                                         int64_t top, int64_t* classes, float* probabilities);

/* The class maps' N, C, H, W for an input of N, C, H, W: 1×10×8×8 where a classifier of ten classes
 * averages 8×8 places. See ninc_model_class_maps. */
NINC_API ninc_status ninc_model_class_maps_shape(ninc_model* model, const int64_t input_shape[4],
                                                 int64_t maps_shape[4]);

/* One map a class, whose mean is the class's score: where in the picture the network sees it.
 *   x: as for ninc_model_run
 *   maps: room for `capacity` floats, at least the maps' shape's product, written N×C×H×W
 * NINC_INVALID_ARGUMENT unless the scores come from global average pooling, or from one linear
 * layer after it. */
NINC_API ninc_status ninc_model_class_maps(ninc_model* model, const int64_t input_shape[4],
                                           const float* x, float* maps, size_t capacity);

/* NULL is allowed. The model must not be running. */
NINC_API ninc_status ninc_model_free(ninc_model* model);

#ifdef __cplusplus
}
#endif

#endif /* NINC_NINC_H_ */
