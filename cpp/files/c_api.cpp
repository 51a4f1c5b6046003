#include "gru_native/c_api.h"

#include <algorithm>
#include <cstdio>
#include <new>
#include <system_error>

#include "gru_native/gru_native.h"

using namespace gru_native;

struct gru_native_model {
  std::shared_ptr<const Model> model;
};
struct gru_native_stream {
  Stream<float> stream;
};
struct gru_native_pool {
  SessionPool<float> pool;
};

namespace {

// Where the rows of steps without gaps begin; 0 for what is refused anyway.
std::int64_t step_stride(std::int64_t batch, std::int64_t columns) {
  return batch > 0 && batch < INT64_MAX / columns ? batch * columns : 0;
}

// Of a fixed size, so that saying "out of memory" needs none.
thread_local char last_error[1024] = "";

int failed(int code, const char* text) noexcept {
  std::snprintf(last_error, sizeof last_error, "%s", text);
  return code;
}

template <class F>
int guarded(const F& f) noexcept {
  try {
    f();
    return GRU_NATIVE_OK;
  } catch (const std::invalid_argument& error) {
    return failed(GRU_NATIVE_INVALID_ARGUMENT, error.what());
  } catch (const FileError& error) {
    return failed(GRU_NATIVE_FILE_ERROR, error.what());
  } catch (const std::bad_alloc&) {
    return failed(GRU_NATIVE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::system_error& error) {
    return failed(GRU_NATIVE_INTERNAL_ERROR, error.what());
  } catch (const std::runtime_error& error) {
    return failed(GRU_NATIVE_UNAVAILABLE, error.what());
  } catch (const std::exception& error) {
    return failed(GRU_NATIVE_INTERNAL_ERROR, error.what());
  } catch (...) {
    return failed(GRU_NATIVE_INTERNAL_ERROR, "unknown error");
  }
}

int is_null(const char* name) noexcept {
  char text[64];
  std::snprintf(text, sizeof text, "%s is NULL", name);
  return failed(GRU_NATIVE_INVALID_ARGUMENT, text);
}

int negative(const char* name, std::int64_t value) noexcept {
  char text[64];
  std::snprintf(text, sizeof text, "%s is %lld; expected at least 0", name, static_cast<long long>(value));
  return failed(GRU_NATIVE_INVALID_ARGUMENT, text);
}

}  // namespace

extern "C" {

const char* gru_native_version(void) { return GRU_NATIVE_VERSION; }

const char* gru_native_error(void) { return last_error; }

int gru_native_model_load(const char* path, const char* description, gru_native_model** model) {
  if (!model) return is_null("model");
  *model = nullptr;
  if (!path) return is_null("path");
  return guarded([&] {
    *model = new gru_native_model{description ? Model::load(path, parse_description(description)) : Model::load(path)};
  });
}

void gru_native_model_free(gru_native_model* model) { delete model; }

int64_t gru_native_model_input_size(const gru_native_model* model) { return model ? model->model->input_size() : 0; }
int64_t gru_native_model_output_size(const gru_native_model* model) { return model ? model->model->output_size() : 0; }
int64_t gru_native_model_state_size(const gru_native_model* model, int64_t batch) {
  std::int64_t size = 0;
  const auto ask = [&] { size = model->model->state_size(batch); };
  return !model || guarded(ask) == GRU_NATIVE_OK ? size : -1;
}

int gru_native_model_forward(const gru_native_model* model, int64_t seq_len, int64_t batch, const float* x,
                             const int64_t* lengths, const float* initial, float* y, float* final_state) {
  if (!model) return is_null("model");
  return guarded([&] {
    const std::int64_t in = model->model->input_size(), out = model->model->output_size();
    ModelCall<float> call;
    call.seq_len = seq_len;
    call.batch = batch;
    call.x = {x, step_stride(batch, in), in};
    call.lengths = lengths;
    call.initial = initial;
    call.y = {y, step_stride(batch, out), out};
    call.final = final_state;
    model->model->forward(call);
  });
}

int gru_native_stream_create(const gru_native_model* model, int64_t batch, int threads, gru_native_stream** stream) {
  if (!stream) return is_null("stream");
  *stream = nullptr;
  if (!model) return is_null("model");
  return guarded([&] { *stream = new gru_native_stream{Stream<float>(model->model, batch, threads)}; });
}

void gru_native_stream_free(gru_native_stream* stream) { delete stream; }

int gru_native_stream_process(gru_native_stream* stream, const float* in, float* out, int64_t frames) {
  if (!stream) return is_null("stream");
  if (frames < 0) return negative("frames", frames);
  if (!in && frames > 0) return is_null("in");
  if (!out && frames > 0) return is_null("out");
  stream->stream.process(in, out, frames);
  return GRU_NATIVE_OK;
}

int gru_native_stream_reset(gru_native_stream* stream) {
  if (!stream) return is_null("stream");
  stream->stream.reset();
  return GRU_NATIVE_OK;
}

int gru_native_stream_save_state(const gru_native_stream* stream, float* state) {
  if (!stream) return is_null("stream");
  if (!state) return is_null("state");
  stream->stream.save_state(state);
  return GRU_NATIVE_OK;
}

int gru_native_stream_load_state(gru_native_stream* stream, const float* state) {
  if (!stream) return is_null("stream");
  if (!state) return is_null("state");
  stream->stream.load_state(state);
  return GRU_NATIVE_OK;
}

int gru_native_stream_prewarm(gru_native_stream* stream, int64_t frames) {
  if (!stream) return is_null("stream");
  if (frames < 0) return negative("frames", frames);
  stream->stream.prewarm(frames);
  return GRU_NATIVE_OK;
}

int gru_native_pool_create(const gru_native_model* model, int64_t capacity, int threads, gru_native_pool** pool) {
  if (!pool) return is_null("pool");
  *pool = nullptr;
  if (!model) return is_null("model");
  return guarded([&] { *pool = new gru_native_pool{SessionPool<float>(model->model, capacity, threads)}; });
}

void gru_native_pool_free(gru_native_pool* pool) { delete pool; }

int64_t gru_native_pool_capacity(const gru_native_pool* pool) { return pool ? pool->pool.capacity() : 0; }

int gru_native_pool_reserve(gru_native_pool* pool, int64_t capacity) {
  if (!pool) return is_null("pool");
  return guarded([&] { pool->pool.reserve(capacity); });
}

int gru_native_pool_open(gru_native_pool* pool, int64_t* session) {
  if (!session) return is_null("session");
  *session = -1;
  if (!pool) return is_null("pool");
  return guarded([&] { *session = pool->pool.open(); });
}

int gru_native_pool_close(gru_native_pool* pool, int64_t session) {
  if (!pool) return is_null("pool");
  return guarded([&] { pool->pool.close(session); });
}

int gru_native_pool_reset(gru_native_pool* pool, int64_t session) {
  if (!pool) return is_null("pool");
  return guarded([&] { pool->pool.reset(session); });
}

int gru_native_pool_step(gru_native_pool* pool, const int64_t* sessions, int64_t count, int64_t seq_len,
                         const float* in, const int64_t* lengths, float* out) {
  if (!pool) return is_null("pool");
  if (!in) return is_null("in");
  if (!out) return is_null("out");
  return guarded([&] {
    const std::int64_t inputs = pool->pool.input_size(), outputs = pool->pool.output_size();
    SessionCall<float> call;
    call.sessions = sessions;
    call.count = count;
    call.seq_len = seq_len;
    call.x = {in, step_stride(count, inputs), inputs};
    call.y = {out, step_stride(count, outputs), outputs};
    call.lengths = lengths;
    pool->pool.step(call);
  });
}

int gru_native_pool_save_state(const gru_native_pool* pool, int64_t session, float* state) {
  if (!pool) return is_null("pool");
  if (!state) return is_null("state");
  return guarded([&] { pool->pool.save_state(session, state); });
}

int gru_native_pool_load_state(gru_native_pool* pool, int64_t session, const float* state) {
  if (!pool) return is_null("pool");
  if (!state) return is_null("state");
  return guarded([&] { pool->pool.load_state(session, state); });
}

int64_t gru_native_pool_sessions(const gru_native_pool* pool, int64_t* sessions, int64_t room) {
  std::int64_t count = 0;
  const auto ask = [&] {
    const std::vector<std::int64_t> ids = pool->pool.sessions();
    count = static_cast<std::int64_t>(ids.size());
    std::copy_n(ids.begin(), std::min(count, room), sessions);
  };
  if (!pool) return is_null("pool"), -1;
  if (room < 0) return negative("room", room), -1;
  if (!sessions && room > 0) return is_null("sessions"), -1;
  return guarded(ask) == GRU_NATIVE_OK ? count : -1;
}

int gru_native_pool_restore(gru_native_pool* pool, const int64_t* sessions, int64_t count, const float* states) {
  if (!pool) return is_null("pool");
  if (!sessions && count > 0) return is_null("sessions");
  if (!states && count > 0) return is_null("states");
  return guarded([&] { pool->pool.restore(sessions, count, states); });
}

}  // extern "C"
