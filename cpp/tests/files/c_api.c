/* The C API from C99: argv[1] is the folder cpp/tests/files/corpus. */
#include <gru_native/c_api.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                    \
  do {                                                                                      \
    if (!(condition)) {                                                                     \
      printf("%s:%d: %s failed: %s\n", __FILE__, __LINE__, #condition, gru_native_error()); \
      return 1;                                                                             \
    }                                                                                       \
  } while (0)

enum { frames = 500 };

/* Sessions of a pool and streams of their own: the same outputs. */
static int pools(const gru_native_model* model, const float* x, const float* expected) {
  enum { many = 3, steps = 50 };
  static float in[steps * many], out[steps * many], state[many * 4];
  int64_t ids[many + 1], lengths[many] = {steps, 0, 20};
  const int64_t two[2] = {0, 0};
  gru_native_pool* pool = NULL;
  int i, k;
  CHECK(gru_native_pool_create(model, 1, 1, &pool) == GRU_NATIVE_OK);
  CHECK(gru_native_pool_open(pool, &ids[0]) == GRU_NATIVE_OK);
  CHECK(gru_native_pool_open(pool, &ids[1]) == GRU_NATIVE_UNAVAILABLE && ids[1] == -1);
  CHECK(strstr(gru_native_error(), "all 1 sessions of the pool are open") != NULL);
  CHECK(gru_native_pool_reserve(pool, many) == GRU_NATIVE_OK);
  CHECK(gru_native_pool_capacity(pool) == many);
  for (k = 1; k < many; ++k) CHECK(gru_native_pool_open(pool, &ids[k]) == GRU_NATIVE_OK);
  for (i = 0; i < steps; ++i)
    for (k = 0; k < many; ++k) in[i * many + k] = x[i];
  CHECK(gru_native_pool_step(pool, ids, many, steps, in, lengths, out) == GRU_NATIVE_OK);
  for (i = 0; i < steps; ++i)
    for (k = 0; k < many; ++k) CHECK(out[i * many + k] == (i < lengths[k] ? expected[i] : 0));

  /* One at a time, the others stay where they are. */
  CHECK(gru_native_pool_step(pool, &ids[2], 1, 1, x + 20, NULL, out) == GRU_NATIVE_OK && out[0] == expected[20]);
  CHECK(gru_native_pool_step(pool, &ids[0], 1, 1, x + steps, NULL, out) == GRU_NATIVE_OK);
  CHECK(out[0] == expected[steps]);
  CHECK(gru_native_pool_reset(pool, ids[0]) == GRU_NATIVE_OK);
  CHECK(gru_native_pool_step(pool, &ids[0], 1, 1, x, NULL, out) == GRU_NATIVE_OK && out[0] == expected[0]);

  /* All to another pool. */
  CHECK(gru_native_pool_sessions(pool, NULL, 0) == many);
  CHECK(gru_native_pool_sessions(pool, ids, many + 1) == many);
  for (k = 0; k < many; ++k) CHECK(gru_native_pool_save_state(pool, ids[k], state + 4 * k) == GRU_NATIVE_OK);
  gru_native_pool_free(pool);
  CHECK(gru_native_pool_create(model, many, 2, &pool) == GRU_NATIVE_OK);
  CHECK(gru_native_pool_restore(pool, ids, many, state) == GRU_NATIVE_OK);
  CHECK(gru_native_pool_step(pool, &ids[2], 1, 1, x + 21, NULL, out) == GRU_NATIVE_OK && out[0] == expected[21]);
  CHECK(gru_native_pool_load_state(pool, ids[1], state + 8) == GRU_NATIVE_OK);
  CHECK(gru_native_pool_step(pool, &ids[1], 1, 1, x + 21, NULL, out) == GRU_NATIVE_OK && out[0] == expected[21]);

  /* Errors. */
  CHECK(gru_native_pool_close(pool, ids[2]) == GRU_NATIVE_OK);
  CHECK(gru_native_pool_close(pool, ids[2]) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(strstr(gru_native_error(), "expected the id of an open session") != NULL);
  CHECK(gru_native_pool_step(pool, two, 2, 1, in, NULL, out) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(strstr(gru_native_error(), "sessions[1] is 0; expected each session once") != NULL);
  CHECK(gru_native_pool_step(pool, NULL, 1, 1, in, NULL, out) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_pool_step(pool, two, 1, 1, NULL, NULL, out) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(strcmp(gru_native_error(), "in is NULL") == 0);
  CHECK(gru_native_pool_step(pool, two, 0, 1, in, NULL, out) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_pool_step(pool, two, INT64_MAX, 1, in, NULL, out) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_pool_restore(pool, NULL, 1, state) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_pool_restore(pool, ids, -1, state) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_pool_sessions(pool, ids, -1) == -1);
  CHECK(strcmp(gru_native_error(), "room is -1; expected at least 0") == 0);
  CHECK(gru_native_pool_sessions(pool, NULL, 1) == -1 && gru_native_pool_sessions(NULL, ids, 1) == -1);
  CHECK(gru_native_pool_sessions(pool, ids, 1) == 2 && ids[0] == 0);
  CHECK(gru_native_pool_reserve(pool, 0) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_pool_save_state(pool, 0, NULL) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_pool_open(NULL, &ids[0]) == GRU_NATIVE_INVALID_ARGUMENT && ids[0] == -1);
  CHECK(gru_native_pool_capacity(NULL) == 0);
  gru_native_pool_free(pool);
  gru_native_pool_free(NULL);
  CHECK(gru_native_pool_create(model, 0, 1, &pool) == GRU_NATIVE_INVALID_ARGUMENT && pool == NULL);
  return 0;
}

int main(int argc, char** argv) {
  static float x[frames], y[frames], expected[frames];
  char path[4096];
  float state[4], later[4];
  gru_native_model* model = NULL;
  gru_native_stream* stream = NULL;
  int i;
  CHECK(argc == 2 && strlen(argv[1]) < 4000);
  CHECK(strcmp(gru_native_error(), "") == 0);

  /* One version everywhere. */
  sprintf(path, "%d.%d.%d", GRU_NATIVE_VERSION_MAJOR, GRU_NATIVE_VERSION_MINOR, GRU_NATIVE_VERSION_PATCH);
  CHECK(strcmp(path, GRU_NATIVE_VERSION) == 0);
  CHECK(strcmp(gru_native_version(), GRU_NATIVE_VERSION) == 0);
  CHECK(strcmp(CMAKE_VERSION_OF_PROJECT, GRU_NATIVE_VERSION) == 0);

  /* A model of int8, and one whose scales are missing. */
  sprintf(path, "%s/int8", argv[1]);
  CHECK(gru_native_model_load(path, NULL, &model) == GRU_NATIVE_OK);
  x[0] = 0.5f;
  CHECK(gru_native_model_forward(model, 1, 1, x, NULL, NULL, expected, state) == GRU_NATIVE_OK);
  CHECK(gru_native_stream_create(model, 1, 1, &stream) == GRU_NATIVE_OK);
  CHECK(gru_native_stream_process(stream, x, y, 1) == GRU_NATIVE_OK);
  CHECK(y[0] != 0 && y[0] == expected[0]);
  gru_native_stream_free(stream);
  gru_native_model_free(model);
  sprintf(path, "%s/bad_int8_missing", argv[1]);
  CHECK(gru_native_model_load(path, NULL, &model) == GRU_NATIVE_FILE_ERROR && !model);
  CHECK(strstr(gru_native_error(), "no tensor 1.weight.scale") != NULL);

  /* An LSTM, 1 -> 2, with a head to 1. */
  sprintf(path, "%s/chain", argv[1]);
  CHECK(gru_native_model_load(path, NULL, &model) == GRU_NATIVE_OK);
  CHECK(gru_native_model_input_size(model) == 1);
  CHECK(gru_native_model_output_size(model) == 1);
  CHECK(gru_native_model_state_size(model, 1) == 4);
  CHECK(gru_native_model_state_size(model, (int64_t)1 << 62) == -1);
  CHECK(strstr(gru_native_error(), "batch=4611686018427387904") != NULL);
  CHECK(gru_native_model_state_size(model, -1) == -1);
  for (i = 0; i < frames; ++i) x[i] = (float)sin(0.1 * i);
  CHECK(gru_native_model_forward(model, frames, 1, x, NULL, NULL, expected, state) == GRU_NATIVE_OK);
  CHECK(expected[frames - 1] != 0 && expected[frames - 1] != expected[frames - 2]);
  CHECK(pools(model, x, expected) == 0);
  CHECK(gru_native_stream_create(model, 1, 1, &stream) == GRU_NATIVE_OK);
  gru_native_model_free(model);

  /* Block by block, with the state taken out and put back in between. */
  for (i = 0; i < frames; i += 100) {
    CHECK(gru_native_stream_process(stream, x + i, y + i, 100) == GRU_NATIVE_OK);
    CHECK(gru_native_stream_save_state(stream, later) == GRU_NATIVE_OK);
    CHECK(gru_native_stream_reset(stream) == GRU_NATIVE_OK);
    CHECK(gru_native_stream_load_state(stream, later) == GRU_NATIVE_OK);
  }
  CHECK(memcmp(y, expected, sizeof y) == 0);
  CHECK(memcmp(later, state, sizeof state) == 0);
  CHECK(gru_native_stream_reset(stream) == GRU_NATIVE_OK);
  CHECK(gru_native_stream_prewarm(stream, 10) == GRU_NATIVE_OK);
  CHECK(gru_native_stream_process(stream, x, y, 1) == GRU_NATIVE_OK);
  CHECK(y[0] != expected[0]);

  /* Errors. */
  CHECK(gru_native_stream_process(stream, NULL, y, 1) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(strcmp(gru_native_error(), "in is NULL") == 0);
  CHECK(gru_native_stream_process(stream, NULL, NULL, 0) == GRU_NATIVE_OK);
  CHECK(gru_native_stream_process(stream, x, y, -1) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(strcmp(gru_native_error(), "frames is -1; expected at least 0") == 0);
  CHECK(gru_native_stream_prewarm(stream, -1) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_stream_reset(NULL) == GRU_NATIVE_INVALID_ARGUMENT);
  gru_native_stream_free(stream);
  gru_native_stream_free(NULL);
  sprintf(path, "%s/bad_nan", argv[1]);
  CHECK(gru_native_model_load(path, NULL, &model) == GRU_NATIVE_FILE_ERROR && model == NULL);
  CHECK(strstr(gru_native_error(), path) && strstr(gru_native_error(), "NaN"));
  CHECK(gru_native_model_input_size(model) == 0);
  CHECK(gru_native_model_forward(model, 1, 1, x, NULL, NULL, y, NULL) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_stream_create(model, 1, 1, &stream) == GRU_NATIVE_INVALID_ARGUMENT && stream == NULL);
  CHECK(gru_native_model_load(NULL, NULL, &model) == GRU_NATIVE_INVALID_ARGUMENT);

  sprintf(path, "%s/dense", argv[1]);
  CHECK(gru_native_model_load(path, "{}", &model) == GRU_NATIVE_FILE_ERROR);
  CHECK(strstr(gru_native_error(), "version is missing") != NULL);
  CHECK(gru_native_model_load(path,
                              "{\"version\": 1, \"blocks\": [{\"type\": \"Dense\", \"input_size\": 3, "
                              "\"output_size\": 2, \"activation\": \"relu\"}]}",
                              &model) == GRU_NATIVE_OK);
  CHECK(gru_native_model_forward(model, 0, 1, x, NULL, NULL, y, NULL) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(strstr(gru_native_error(), "seq_len is 0") != NULL);
  CHECK(gru_native_model_forward(model, 1, INT64_MAX, x, NULL, NULL, y, NULL) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(gru_native_stream_create(model, -1, 1, &stream) == GRU_NATIVE_INVALID_ARGUMENT);
  CHECK(strstr(gru_native_error(), "batch_size is -1") != NULL);
  gru_native_model_free(model);
  printf("c_api: passed\n");
  return 0;
}
