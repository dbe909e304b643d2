/* Runs a model file from C and prints the classes it takes a picture for, likeliest first.
 *
 *     predict MODEL PICTURE           a binary PPM or PGM file
 *     predict MODEL [HEIGHT WIDTH]    a made-up picture of this size, else 32×32
 *
 * `magick cat.jpg cat.ppm` makes such a file, and so does Python with Pillow:
 *
 *     python -c "from PIL import Image; Image.open('cat.jpg').convert('RGB').save('cat.ppm')"
 *
 * A picture is brought to the network's size and normalised as the model file says. The made-up one
 * shows what a program does that has numbers of its own: they go into the network as they are.
 */
#include <ctype.h>
#include <errno.h>
#include <ninc/ninc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOP 5

typedef struct picture {
  long height, width;
  int channels;
  unsigned char* pixels; /* height×width×channels */
} picture;

/* The next number of a picture's head, after spaces and comments; 0 where there is none. */
static long next_number(FILE* file) {
  long number = 0;
  int next = fgetc(file);
  while (next == '#' || isspace(next)) {
    if (next == '#') {
      while (next != '\n' && next != EOF) next = fgetc(file);
    }
    next = fgetc(file);
  }
  ungetc(next, file);
  return fscanf(file, "%ld", &number) == 1 ? number : 0;
}

/* 1 for a picture that was read, whose pixels are to be freed; else it prints what is wrong. */
static int read_picture(const char* path, picture* to) {
  FILE* file = fopen(path, "rb");
  size_t size = 0;
  int is_picture = 0, kind = 0;
  if (file == NULL) {
    fprintf(stderr, "predict: cannot open %s: %s\n", path, strerror(errno));
    return 0;
  }
  is_picture = fgetc(file) == 'P';
  kind = fgetc(file); /* '5': grey, '6': colours */
  to->width = next_number(file);
  to->height = next_number(file);
  if (is_picture && (kind == '5' || kind == '6') && next_number(file) == 255 &&
      fgetc(file) != EOF && to->height > 0 && to->height <= 16384 && to->width > 0 &&
      to->width <= 16384) {
    to->channels = kind == '6' ? 3 : 1;
    size = (size_t)to->height * (size_t)to->width * (size_t)to->channels;
    to->pixels = malloc(size);
    if (to->pixels != NULL && fread(to->pixels, 1, size, file) != size) {
      free(to->pixels);
      to->pixels = NULL;
    }
  }
  fclose(file);
  if (to->pixels == NULL) {
    fprintf(stderr, "predict: %s is no binary PPM or PGM picture of 8 bits\n", path);
  }
  return to->pixels != NULL;
}

static ninc_status print_classes(ninc_model* model, const picture* shown) {
  int64_t classes[TOP], top = 0;
  float probabilities[TOP];
  ninc_status status = ninc_model_num_classes(model, &top);
  int i;
  if (status != NINC_OK) return status;
  if (top > TOP) top = TOP;
  status = ninc_model_classify(model, shown->pixels, 1, shown->height, shown->width,
                               shown->channels, top, classes, probabilities);
  for (i = 0; i < top && status == NINC_OK; ++i) {
    const char* name = NULL;
    status = ninc_model_class_name(model, classes[i], &name);
    if (status != NINC_OK) break;
    printf("%.6f  class %ld  %s\n", probabilities[i], (long)classes[i],
           name == NULL ? "(no name stored)" : name);
  }
  return status;
}

/* Runs the network on numbers and prints its largest output. */
static ninc_status print_largest(ninc_model* model, int64_t height, int64_t width) {
  int64_t input[4], output[4]; /* N, C, H, W */
  size_t pixels, count, best = 0, i;
  float *x = NULL, *y = NULL;
  ninc_status status = ninc_model_input_channels(model, &input[1]);
  if (status != NINC_OK) return status;
  input[0] = 1;
  input[2] = height;
  input[3] = width;
  status = ninc_model_output_shape(model, input, output);
  if (status != NINC_OK) return status;

  pixels = (size_t)(input[1] * height * width);
  count = (size_t)(output[1] * output[2] * output[3]);
  x = malloc(pixels * sizeof(float));
  y = malloc(count * sizeof(float));
  if (x != NULL && y != NULL) {
    /* A gradient from dark to light. */
    for (i = 0; i < pixels; ++i) x[i] = 2.0f * (float)i / (float)pixels - 1.0f;
    status = ninc_model_run(model, input, x, y, count);
    for (i = 0; i < count && status == NINC_OK; ++i) best = y[i] > y[best] ? i : best;
    if (status == NINC_OK) {
      printf("output %lu of %lu: %g\n", (unsigned long)best, (unsigned long)count, y[best]);
    }
  } else {
    status = NINC_OUT_OF_MEMORY;
    fprintf(stderr, "predict: no memory for the picture\n");
  }
  free(x);
  free(y);
  return status;
}

int main(int argc, char** argv) {
  picture shown = {32, 32, 0, NULL};
  ninc_model* model = NULL;
  ninc_status status;
  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: predict MODEL PICTURE | predict MODEL [HEIGHT WIDTH]\n");
    return 2;
  }
  if (argc == 3 && !read_picture(argv[2], &shown)) return 1;
  if (argc == 4) {
    shown.height = atol(argv[2]);
    shown.width = atol(argv[3]);
  }
  status = ninc_model_load(argv[1], &model);
  if (status == NINC_OK) {
    status = shown.pixels != NULL ? print_classes(model, &shown)
                                  : print_largest(model, shown.height, shown.width);
  }
  if (status != NINC_OK) fprintf(stderr, "predict: %s\n", ninc_last_error());
  ninc_model_free(model);
  free(shown.pixels);
  return status == NINC_OK ? 0 : 1;
}
