/* The C API: models and streams for C and every language that calls C.
 *
 * All functions but the trivial ones return 0 (GRU_NATIVE_OK) or an error code, and then gru_native_error() says in
 * words what is wrong, in the calling thread, until its next failing call. No C++ exception comes through.
 * Numbers are float32. Link with the same libraries as from C++.
 */
#ifndef GRU_NATIVE_C_API_H
#define GRU_NATIVE_C_API_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define GRU_NATIVE_C_API
#else
#define GRU_NATIVE_C_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum {
  GRU_NATIVE_OK = 0,
  GRU_NATIVE_INVALID_ARGUMENT = 1,
  GRU_NATIVE_FILE_ERROR = 2,
  GRU_NATIVE_OUT_OF_MEMORY = 3,
  GRU_NATIVE_INTERNAL_ERROR = 4
};

typedef struct gru_native_model gru_native_model;
typedef struct gru_native_stream gru_native_stream;

/* What went wrong last in this thread; "" at first. Valid until this thread's next failing call. */
GRU_NATIVE_C_API const char* gru_native_error(void);

/* Loads a model file (safetensors, float32) as gru_native::Model::load does. `description` is the JSON that a file
 * without one needs, or NULL. On success *model is to be freed. */
GRU_NATIVE_C_API int gru_native_model_load(const char* path, const char* description, gru_native_model** model);
/* Streams made from it go on. NULL is allowed. */
GRU_NATIVE_C_API void gru_native_model_free(gru_native_model* model);

/* Columns of inputs and outputs, and numbers in the state of `batch` sequences; 0 for NULL. */
GRU_NATIVE_C_API int64_t gru_native_model_input_size(const gru_native_model* model);
GRU_NATIVE_C_API int64_t gru_native_model_output_size(const gru_native_model* model);
GRU_NATIVE_C_API int64_t gru_native_model_state_size(const gru_native_model* model, int64_t batch);

/* Inference over whole sequences: x is [seq_len][batch][input_size], y [seq_len][batch][output_size]. lengths is
 * [batch], each 0..seq_len, or NULL; initial and final_state are [state_size(batch)] or NULL. */
GRU_NATIVE_C_API int gru_native_model_forward(const gru_native_model* model, int64_t seq_len, int64_t batch,
                                              const float* x, const int64_t* lengths, const float* initial, float* y,
                                              float* final_state);

/* A stream of `batch` sequences side by side, on up to `threads` threads (1: the calling one alone). A stream belongs
 * to one thread at a time. On success *stream is to be freed. */
GRU_NATIVE_C_API int gru_native_stream_create(const gru_native_model* model, int64_t batch, int threads,
                                              gru_native_stream** stream);
GRU_NATIVE_C_API void gru_native_stream_free(gru_native_stream* stream);

/* in is [frames][batch][input_size], out [frames][batch][output_size]. With threads = 1 it allocates nothing, takes
 * no lock and makes no system call, unless it fails, which it does only for NULL. */
GRU_NATIVE_C_API int gru_native_stream_process(gru_native_stream* stream, const float* in, float* out, size_t frames);
/* Back to the zero state; to and from the state, [state_size(batch)]; `frames` of zeros in. */
GRU_NATIVE_C_API int gru_native_stream_reset(gru_native_stream* stream);
GRU_NATIVE_C_API int gru_native_stream_save_state(const gru_native_stream* stream, float* state);
GRU_NATIVE_C_API int gru_native_stream_load_state(gru_native_stream* stream, const float* state);
GRU_NATIVE_C_API int gru_native_stream_prewarm(gru_native_stream* stream, size_t frames);

#ifdef __cplusplus
}
#endif

#endif
