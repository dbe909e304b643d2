/* Runs a model file from C on a made-up picture and prints the class it takes it for.
 *
 *     predict MODEL [HEIGHT WIDTH]
 */
#include <ninc/ninc.h>
#include <stdio.h>
#include <stdlib.h>

/* The index of the first largest of `count` values. */
static int64_t argmax(const float* values, int64_t count) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; ++i) {
    if (values[i] > values[best]) best = i;
  }
  return best;
}

/* Runs the model on one picture of input[2] × input[3] pixels. */
static ninc_status predict(ninc_model* model, int64_t input[4]) {
  ninc_status status = ninc_model_input_channels(model, &input[1]);
  if (status != NINC_OK) return status;
  int64_t output[4];
  status = ninc_model_output_shape(model, input, output);
  if (status != NINC_OK) return status;

  const int64_t pixels = input[1] * input[2] * input[3];
  const int64_t classes = output[1] * output[2] * output[3];
  float* x = malloc((size_t)pixels * sizeof(float));
  float* y = malloc((size_t)classes * sizeof(float));
  if (x == NULL || y == NULL) {
    status = NINC_OUT_OF_MEMORY;
  } else {
    /* A gradient from dark to light; a program would put a normalised picture here. */
    for (int64_t i = 0; i < pixels; ++i) x[i] = 2.0f * (float)i / (float)pixels - 1.0f;
    status = ninc_model_run(model, input, x, y, (size_t)classes);
  }
  if (status == NINC_OK) {
    const int64_t best = argmax(y, classes);
    printf("class %lld of %lld, logit %g\n", (long long)best, (long long)classes, y[best]);
  }
  free(x);
  free(y);
  return status;
}

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    fprintf(stderr, "usage: predict MODEL [HEIGHT WIDTH]\n");
    return 2;
  }
  int64_t input[4] = {1, 0, 32, 32}; /* N, C, H, W; the model knows C */
  if (argc == 4) {
    input[2] = atoll(argv[2]);
    input[3] = atoll(argv[3]);
  }
  ninc_model* model = NULL;
  ninc_status status = ninc_model_load(argv[1], &model);
  if (status == NINC_OK) status = predict(model, input);
  if (status != NINC_OK) fprintf(stderr, "predict: %s\n", ninc_last_error());
  ninc_model_free(model);
  return status == NINC_OK ? 0 : 1;
}
