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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!load<float>(bytes)) load<double>(bytes);
  return 0;
}

#if !defined(GRU_NATIVE_FUZZ)
int main(int, char** argv) {
  int files = 0, models = 0;
  for (const auto& file : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    models += load<float>(bytes) || load<double>(bytes);
    ++files;
  }
  std::printf("fuzz_load: %d files, %d of them models\n", files, models);
  return files > 10 && models > 5 && models < files ? 0 : 1;
}
#endif
