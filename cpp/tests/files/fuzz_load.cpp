// Model files of any bytes: an error or a model that computes, nothing else.
//
// With clang, -DGRU_NATIVE_FUZZ=ON makes the libFuzzer program fuzz_load: `fuzz_load -max_total_time=60 FOLDER`, where
// FOLDER holds a copy of cpp/tests/files/corpus (make_corpus.py wrote that). Without it, the test reads the corpus
// once.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "files/decoder_file.h"
#include "files/large_softmax_file.h"
#include "files/model_file.h"
#include "gru_native/gru_native.h"

using namespace gru_native;

namespace {

template <class T>
bool load(std::string_view bytes) {
  std::shared_ptr<const BasicModel<T>> model;
  try {
    model = read_model<T>(BytesInMemory(bytes), nullptr);
  } catch (const FileError&) {
    return false;
  } catch (const std::invalid_argument&) {
    return false;
  }
  if (model->input_size() > 1000 || model->output_size() > 1000) return true;
  const std::vector<T> x(static_cast<std::size_t>(2 * model->input_size()), T(0.5));
  std::vector<T> y(static_cast<std::size_t>(2 * model->output_size()));
  ModelCall<T> call;
  call.seq_len = 2;
  call.batch = 1;
  call.x = {x.data(), model->input_size(), 0};
  call.y = {y.data(), model->output_size(), 0};
  model->forward(call);
  return true;
}

template <class T>
bool load_softmax(std::string_view bytes) {
  const BytesInMemory file(bytes);
  std::optional<LargeSoftmaxFile> read;
  try {
    read = read_large_softmax_file(file, dtype_name<T>);
    if (!read) return false;
    const LargeSoftmax<T> layer = read_large_softmax<T>(file, *read);
    const std::vector<T> x(static_cast<std::size_t>(read->spec.input_size), T(0.5));
    std::int64_t best = -1;
    layer.top_words({1, x.data(), 1, &best, nullptr});
    if (best < 0 || best >= read->spec.vocab_size) std::abort();
    const std::int64_t target = 1;
    LargeSoftmaxCall<T> call;
    call.rows = 1;
    call.x = x.data();
    call.targets = &target;
    layer.forward_with_tape(call);
  } catch (const FileError&) {
    return false;
  } catch (const std::invalid_argument&) {  // also for scores that are too large
    return false;
  }
  return true;
}

// Its description alone: what reads the tensors is what reads a model's.
bool describes_decoder(std::string_view bytes) {
  try {
    return read_decoder_file(BytesInMemory(bytes), nullptr).has_value();
  } catch (const FileError&) {
    return false;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

bool load_any(std::string_view bytes) {
  const bool softmax = load_softmax<float>(bytes) || load_softmax<double>(bytes), decoder = describes_decoder(bytes);
  const bool model = load<float>(bytes) || load<double>(bytes);
  if (softmax + decoder + model > 1) std::abort();
  return softmax || decoder || model;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  load_any(bytes);
  return 0;
}

#if !defined(GRU_NATIVE_FUZZ)
int main(int, char** argv) {
  int files = 0, models = 0;
  for (const auto& file : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    const bool is_model = load_any(bytes), bad = file.path().filename().string().rfind("bad_", 0) == 0;
    if (is_model == bad) {
      std::printf("%s is %s model\n", file.path().c_str(), is_model ? "a" : "no");
      return 1;
    }
    models += is_model;
    ++files;
  }
  std::printf("fuzz_load: %d files, %d of them models\n", files, models);
  return files > 10 && models > 5 && models < files ? 0 : 1;
}
#endif
