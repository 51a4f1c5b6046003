/** \file
 * The C API: models, streams and pools of sessions for C and every language that calls C. Numbers are float32, arrays
 * are row-major without gaps. Link with the same libraries as from C++.
 *
 * Functions that can fail return GRU_NATIVE_OK (0) or another code of the enum below; gru_native_error() then says in
 * words what is wrong. No C++ exception comes through.
 */
#ifndef GRU_NATIVE_C_API_H
#define GRU_NATIVE_C_API_H

#include <stdint.h>

#include "gru_native/version.h"

#if defined(_WIN32)
#define GRU_NATIVE_C_API
#else
#define GRU_NATIVE_C_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What a function that can fail returns. */
enum {
  GRU_NATIVE_OK = 0,
  GRU_NATIVE_INVALID_ARGUMENT = 1,
  GRU_NATIVE_FILE_ERROR = 2,
  GRU_NATIVE_OUT_OF_MEMORY = 3,
  GRU_NATIVE_INTERNAL_ERROR = 4,
  GRU_NATIVE_UNAVAILABLE = 5 /**< All sessions of a pool are open, or another thread has one in hand. */
};

typedef struct gru_native_model gru_native_model;   /**< A model: shared, never changed. */
typedef struct gru_native_stream gru_native_stream; /**< A model at work on sequences that come in pieces. */
typedef struct gru_native_pool gru_native_pool;     /**< The same on many, of which any few have input at a time. */

/** The version of the library that runs, as GRU_NATIVE_VERSION is that of the headers. */
GRU_NATIVE_C_API const char* gru_native_version(void);

/** What went wrong last in the calling thread; "" at first. Valid until this thread's next failing call. */
GRU_NATIVE_C_API const char* gru_native_error(void);

/** Loads a model file (safetensors; float32, or weights of fewer bits) as gru_native::Model::load does. `description`
 * is the JSON that a file without one needs, or NULL. On success *model is to be freed; otherwise it is NULL. */
GRU_NATIVE_C_API int gru_native_model_load(const char* path, const char* description, gru_native_model** model);

/** Frees a model, or nothing for NULL. Streams made from it go on. */
GRU_NATIVE_C_API void gru_native_model_free(gru_native_model* model);

/** Columns of the input; 0 for NULL. */
GRU_NATIVE_C_API int64_t gru_native_model_input_size(const gru_native_model* model);

/** Columns of the output; 0 for NULL. */
GRU_NATIVE_C_API int64_t gru_native_model_output_size(const gru_native_model* model);

/** Numbers in the state of `batch` sequences; 0 for a model that is NULL, and -1, with an error, for a batch below 1
 * or larger than memory. */
GRU_NATIVE_C_API int64_t gru_native_model_state_size(const gru_native_model* model, int64_t batch);

/** Inference over whole sequences.
 * \param x [seq_len][batch][input_size]
 * \param lengths [batch], each 0 to seq_len, or NULL: all seq_len
 * \param initial [state_size(batch)], or NULL: zeros
 * \param y [seq_len][batch][output_size], written; 0 past the end of a sequence
 * \param final_state [state_size(batch)], written; or NULL: not wanted
 */
GRU_NATIVE_C_API int gru_native_model_forward(const gru_native_model* model, int64_t seq_len, int64_t batch,
                                              const float* x, const int64_t* lengths, const float* initial, float* y,
                                              float* final_state);

/** Makes a stream of `batch` sequences side by side, on up to `threads` threads (1: the calling one alone). A stream
 * belongs to one thread at a time. On success *stream is to be freed; otherwise it is NULL. */
GRU_NATIVE_C_API int gru_native_stream_create(const gru_native_model* model, int64_t batch, int threads,
                                              gru_native_stream** stream);

/** Frees a stream, or nothing for NULL. */
GRU_NATIVE_C_API void gru_native_stream_free(gru_native_stream* stream);

/** The outputs of the next `frames` steps. With threads = 1 it allocates nothing, takes no lock and makes no system
 * call, unless it fails, which it does only for NULL and for frames below 0.
 * \param in [frames][batch][input_size]
 * \param out [frames][batch][output_size], written; must not overlap `in`
 */
GRU_NATIVE_C_API int gru_native_stream_process(gru_native_stream* stream, const float* in, float* out, int64_t frames);

/** Back to the zero state. */
GRU_NATIVE_C_API int gru_native_stream_reset(gru_native_stream* stream);

/** Copies the state into an array of gru_native_model_state_size(model, batch) numbers. */
GRU_NATIVE_C_API int gru_native_stream_save_state(const gru_native_stream* stream, float* state);

/** Sets the state from such an array. */
GRU_NATIVE_C_API int gru_native_stream_load_state(gru_native_stream* stream, const float* state);

/** Runs `frames` steps of zeros in, so that what follows does not begin with the transient of the zero state. */
GRU_NATIVE_C_API int gru_native_stream_prewarm(gru_native_stream* stream, int64_t frames);

/** Makes a pool with room for `capacity` sessions, as gru_native::SessionPool: whoever has input goes forward in one
 * batch, and gets what a stream of its own would give it. A call uses up to `threads` threads (1: the calling one
 * alone). Several threads may use a pool at once, also for steps, as long as these are of different sessions. On
 * success *pool is to be freed; otherwise it is NULL. */
GRU_NATIVE_C_API int gru_native_pool_create(const gru_native_model* model, int64_t capacity, int threads,
                                            gru_native_pool** pool);

/** Frees a pool, or nothing for NULL. */
GRU_NATIVE_C_API void gru_native_pool_free(gru_native_pool* pool);

/** Sessions that may be open at once; 0 for NULL. */
GRU_NATIVE_C_API int64_t gru_native_pool_capacity(const gru_native_pool* pool);

/** Makes room for at least so many sessions, and for twice as many as before if it must grow. */
GRU_NATIVE_C_API int gru_native_pool_reserve(gru_native_pool* pool, int64_t capacity);

/** Begins a session, in the zero state: *session is its id, or -1 if it fails. */
GRU_NATIVE_C_API int gru_native_pool_open(gru_native_pool* pool, int64_t* session);

/** Ends a session. Like all functions that take ids, this one changes nothing if it fails. */
GRU_NATIVE_C_API int gru_native_pool_close(gru_native_pool* pool, int64_t session);

/** Sets a session back to the zero state. */
GRU_NATIVE_C_API int gru_native_pool_reset(gru_native_pool* pool, int64_t session);

/** The next steps of some sessions. With threads = 1 and one caller at a time it allocates nothing.
 * \param sessions [count], each once
 * \param in [seq_len][count][input_size]
 * \param lengths [count], steps of each session, 0 to seq_len, or NULL: all seq_len
 * \param out [seq_len][count][output_size], written; 0 past the end of each; must not overlap `in`
 */
GRU_NATIVE_C_API int gru_native_pool_step(gru_native_pool* pool, const int64_t* sessions, int64_t count,
                                          int64_t seq_len, const float* in, const int64_t* lengths, float* out);

/** Copies the state of a session into an array of gru_native_model_state_size(model, 1) numbers. A stream of batch 1
 * has the same. */
GRU_NATIVE_C_API int gru_native_pool_save_state(const gru_native_pool* pool, int64_t session, float* state);

/** Sets the state of a session from such an array. */
GRU_NATIVE_C_API int gru_native_pool_load_state(gru_native_pool* pool, int64_t session, const float* state);

/** How many sessions are open; their ids, ascending, go into `sessions`, which has room for `room` of them, or is NULL
 * for room 0. Those past the room are only counted. -1, with an error, if it fails. */
GRU_NATIVE_C_API int64_t gru_native_pool_sessions(const gru_native_pool* pool, int64_t* sessions, int64_t room);

/** Closes all sessions, and opens those of another pool with their ids and states, as in another process.
 * \param sessions [count]
 * \param states [count][state_size(1)]
 */
GRU_NATIVE_C_API int gru_native_pool_restore(gru_native_pool* pool, const int64_t* sessions, int64_t count,
                                             const float* states);

#ifdef __cplusplus
}
#endif

#endif
