// Model files: what goes out comes back, plain state_dicts are understood, and hostile bytes are errors that name
// file and tensor.
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <string>

#include "tests/support/chain.h"

using namespace gru_native;
using namespace gru_native::testing;

namespace {

std::string path_of(const std::string& name) {
  const char* folder = std::getenv("TMPDIR");
  return std::string(folder ? folder : "/tmp") + "/gru_native_" + std::to_string(getpid()) + "_" + name;
}

void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string length_prefix(std::uint64_t n) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[static_cast<std::size_t>(i)] = static_cast<char>(n >> 8 * i & 0xff);
  return bytes;
}
std::string file_of(const std::string& header, const std::string& data) {
  return length_prefix(header.size()) + header + data;
}
std::string floats(std::size_t n, float first = 0.25f) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = first + 0.125f * static_cast<float>(i);
  std::string bytes(n * 4, '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}
std::string entry(const std::string& name, const std::string& shape, std::size_t begin, std::size_t end,
                  const std::string& dtype = "F32") {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

// Outputs of a model for fixed inputs.
template <class T>
std::vector<T> outputs(const BasicModel<T>& model) {
  const std::int64_t seq_len = 9, batch = 2, in = model.input_size(), out = model.output_size();
  const std::vector<T> x = random_numbers<T>(static_cast<std::size_t>(seq_len * batch * in), 77);
  std::vector<T> y(static_cast<std::size_t>(seq_len * batch * out));
  ModelCall<T> call;
  call.seq_len = seq_len;
  call.batch = batch;
  call.x = {x.data(), batch * in, in};
  call.y = {y.data(), batch * out, out};
  model.forward(call);
  return y;
}

template <class T>
void check_round_trip(const std::vector<AnySpec>& specs) {
  const auto model = chain_of<T>(specs, 11);
  const std::string path = path_of("round.safetensors");
  model->save(path);
  const auto loaded = BasicModel<T>::load(path);
  CHECK(loaded->blocks().size() == specs.size(), "%zu blocks", loaded->blocks().size());
  CHECK(outputs(*loaded) == outputs(*model), "other bits after a round trip");
  loaded->save(path + "2");
  CHECK(read(path) == read(path + "2"), "other bytes when saved again");
  using Other = BasicModel<std::conditional_t<sizeof(T) == 4, double, float>>;
  CHECK(throws<FileError>([&] { Other::load(path); }, sizeof(T) == 4 ? "load it as float32" : "load it as float64"),
        "no error");
  unlink(path.c_str());
  unlink((path + "2").c_str());
}

std::shared_ptr<const Model> quantized(const Model& full, Precision precision) {
  std::vector<ModelBlock<float>> blocks;
  for (const ModelBlock<float>& block : full.blocks())
    std::visit(
        [&](const auto& b) {
          using Block = std::remove_const_t<std::remove_reference_t<decltype(*b)>>;
          if constexpr (std::is_same_v<Block, Operation<float>>) blocks.push_back(b);  // which has no other form
          else blocks.push_back(std::make_shared<const Block>(b->quantize(precision)));
        },
        block);
  return std::make_shared<const Model>(std::move(blocks));
}

// As a file has them: LoadAs::stored has the same bits, LoadAs::full those of the floats that they stand for.
void check_few_bits(Precision precision) {
  const auto full = chain_of<float>({spec_of(Cell::lstm, 3, 20, 2, false, 7), spec_of(Cell::gru, 7, 9, 1, true),
                                     dense_of(18, 4, DenseActivation::softmax)},
                                    31);
  const auto owner = quantized(*full, precision);
  const Model& model = *owner;
  const std::string path = path_of("few_bits.safetensors");
  model.save(path);
  const auto loaded = Model::load(path);
  CHECK(outputs(*loaded) == outputs(model), "other bits after a round trip");
  CHECK(std::get<0>(loaded->blocks()[0])->spec().precision == precision, "precision");
  loaded->save(path + "2");
  CHECK(read(path) == read(path + "2"), "other bytes when saved again");
  const auto wide = Model::load(path, LoadAs::full);
  CHECK(std::get<1>(wide->blocks()[2])->spec().precision == Precision::full, "full");
  for (std::size_t i = 0; i < model.blocks().size(); ++i)
    std::visit(
        [&](const auto& b) {
          using Pointer = std::remove_const_t<std::remove_reference_t<decltype(b)>>;
          const auto& own = std::get<Pointer>(wide->blocks()[i])->weights();
          for (std::size_t k = 0; k < own.size(); ++k)
            CHECK(std::equal(own[k].begin(), own[k].end(), b->weights()[k].begin()), "%s", own[k].name.c_str());
        },
        model.blocks()[i]);
  CHECK(throws<FileError>([&] { Model64::load(path); }, "load it as float32 (Model)"), "float64");
  unlink(path.c_str());
  unlink((path + "2").c_str());
}

void check_options() {
  const std::string path = path_of("options.safetensors");
  std::vector<AnySpec> specs{spec_of(Cell::rnn_relu, 3, 4, 2, true), spec_of(Cell::gru, 8, 5, 1, false, 0, false),
                             spec_of(Cell::lstm, 5, 6, 1, false, 2), dense_of(2, 3, DenseActivation::sigmoid, false)};
  std::get<LayerSpec>(specs[0]).dropout = 0.125;
  std::get<LayerSpec>(specs[1]).bias = false;
  chain_of<float>(specs, 1)->save(path);
  const auto blocks = Model::load(path)->blocks();
  const LayerSpec& rnn = std::get<0>(blocks[0])->spec();
  CHECK(rnn.cell == Cell::rnn_relu && rnn.num_layers == 2 && rnn.bidirectional && rnn.dropout == 0.125, "RNN");
  const LayerSpec& gru = std::get<0>(blocks[1])->spec();
  CHECK(gru.cell == Cell::gru && !gru.reset_after && !gru.bias && !gru.bidirectional, "GRU");
  CHECK(std::get<0>(blocks[2])->spec().proj_size == 2, "LSTM");
  const DenseSpec& dense = std::get<1>(blocks[3])->spec();
  CHECK(dense.activation == DenseActivation::sigmoid && !dense.bias && dense.output_size == 3, "Dense");
  unlink(path.c_str());
}

// A state_dict under any prefixes, without metadata.
std::string state_dict(const std::vector<AnySpec>& specs, const std::vector<std::string>& prefixes) {
  const auto model = chain_of<float>(specs, 21);
  std::string header, data;
  for (std::size_t i = 0; i < specs.size(); ++i)
    std::visit(
        [&](const auto& block) {
          for (const auto& w : block->weights()) {
            std::string shape;
            std::size_t n = 1;
            for (const std::int64_t size : w.shape)
              shape += (shape.empty() ? "" : ",") + std::to_string(size), n *= static_cast<std::size_t>(size);
            header +=
                (header.empty() ? "{" : ",") + entry(prefixes[i] + w.name, shape, data.size(), data.size() + 4 * n);
            data.append(reinterpret_cast<const char*>(w.data), 4 * n);
          }
        },
        model->blocks()[i]);
  return file_of(header + "}", data);
}

void check_inference() {
  const std::string path = path_of("plain.safetensors");
  const auto same = [&](const std::vector<AnySpec>& specs, const std::vector<std::string>& prefixes) {
    write(path, state_dict(specs, prefixes));
    return outputs(*Model::load(path)) == outputs(*chain_of<float>(specs, 21));
  };
  const auto refused = [&](const std::vector<AnySpec>& specs, const std::vector<std::string>& prefixes,
                           const char* text) {
    write(path, state_dict(specs, prefixes));
    return throws<FileError>([&] { Model::load(path); }, text);
  };
  for (const Cell cell : {Cell::rnn_tanh, Cell::lstm, Cell::gru})
    CHECK(same({spec_of(cell, 3, 4, 2, true)}, {""}), "one layer");
  CHECK(same({spec_of(Cell::lstm, 3, 6, 3, false, 2)}, {"rnn."}), "projection");
  LayerSpec plain = spec_of(Cell::gru, 3, 4);
  plain.bias = false;
  CHECK(same({plain}, {"a.b."}), "no bias");
  CHECK(same({spec_of(Cell::lstm, 1, 16), dense_of(16, 1)}, {"rnn.", "head."}), "LSTM and head");
  CHECK(same({spec_of(Cell::lstm, 2, 4), spec_of(Cell::gru, 4, 7), dense_of(7, 5)}, {"z.", "a.", "m."}), "by size");
  CHECK(same({dense_of(4, 4), spec_of(Cell::gru, 4, 4), dense_of(4, 4)}, {"2.", "9.", "10."}), "by number");
  CHECK(refused({spec_of(Cell::gru, 4, 4), spec_of(Cell::lstm, 4, 4)}, {"a.", "b."}, "more than one order"),
        "no error");

  // By a description.
  const std::vector<AnySpec> pair{spec_of(Cell::rnn_relu, 4, 4), spec_of(Cell::gru, 4, 4, 1, false, 0, false)};
  write(path, state_dict(pair, {"a.", "b."}));
  const std::vector<BlockSpec> description{{"a.", std::get<0>(pair[0])}, {"b.", std::get<0>(pair[1])}};
  CHECK(outputs(*Model::load(path, description)) == outputs(*chain_of<float>(pair, 21)), "by a description");
  const auto parsed = parse_description(
      R"({"version": 1, "blocks": [{"type": "RNN", "prefix": "a.", "input_size": 4, "hidden_size": 4, "nonlinearity":
          "relu"}, {"type": "GRU", "prefix": "b.", "input_size": 4, "hidden_size": 4, "reset_after": false}]})");
  CHECK(outputs(*Model::load(path, parsed)) == outputs(*chain_of<float>(pair, 21)), "by a text");
  CHECK(throws<FileError>([&] { Model::load(path, {description[0], description[0]}); }, "no tensor a.weight_ih_l0"),
        "a prefix twice");
  CHECK(throws<FileError>([&] { Model::load(path, {description[0]}); }, "b.bias_hh_l0 belongs to no block"), "surplus");
  unlink(path.c_str());
}

// A dense layer 2 -> 3 with a description, of which a test changes one thing.
struct Parts {
  std::string description =
      R"({\"version\":1,\"blocks\":[{\"type\":\"Dense\",\"prefix\":\"\",\"input_size\":2,\"output_size\":3}]})";
  std::string weight = entry("weight", "3,2", 0, 24), bias = entry("bias", "3", 24, 36), more, data = floats(9);
  std::string file() const {
    return file_of("{\"__metadata__\":{\"gru_native\":\"" + description + "\"}," + weight + "," + bias + more + "}",
                   data);
  }
};

template <class Change>
void check_refused(const Change& change, const std::string& text) {
  const std::string path = path_of("bad.safetensors");
  Parts parts;
  std::string bytes;
  if constexpr (std::is_void_v<decltype(change(parts))>) change(parts), bytes = parts.file();
  else bytes = change(parts);
  write(path, bytes);
  try {
    Model::load(path);
    CHECK(false, "no error; expected %s", text.c_str());
  } catch (const FileError& error) {
    const std::string what = error.what();
    CHECK(what.find(path) == 0 && what.find(text) != std::string::npos, "the error is: %s; expected %s",
          what.substr(0, 500).c_str(), text.c_str());
    CHECK(std::none_of(what.begin(), what.end(), [](unsigned char c) { return c < 0x20; }), "control characters");
    CHECK(what.size() < 1000, "an error of %zu bytes", what.size());
  }
  unlink(path.c_str());
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  CHECK(at != std::string::npos, "%s", from.c_str());
  return text.replace(at, from.size(), to);
}

void check_hostile() {
  const std::string good = Parts().file();
  for (std::size_t n = 0; n < good.size(); ++n)
    check_refused([&](Parts&) { return good.substr(0, n); }, n < 8 ? "no safetensors file" : "");
  check_refused([](Parts&) { return length_prefix(1000) + "{}"; }, "truncated");
  check_refused([](Parts&) { return length_prefix(~std::uint64_t(0)) + std::string(100, ' '); }, "truncated");
  check_refused([](Parts&) { return file_of("{" + std::string(10 << 20, ' ') + "}", ""); }, "expected at most 1048576");
  check_refused([](Parts&) { return file_of(std::string(1 << 20, '['), ""); }, "nested deeper");
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  check_refused([&](Parts&) { return file_of(deep, ""); }, "nested deeper");
  check_refused([](Parts&) { return file_of("[]", ""); }, "no JSON object");
  check_refused([](Parts&) { return file_of("{\"\xff\": 1}", ""); }, "no JSON");
  check_refused([](Parts&) { return file_of("{}", ""); }, "no tensors");
  check_refused([](Parts& p) { p.more = "," + p.weight; }, "\"weight\" is there twice");
  check_refused([](Parts& p) { p.weight = replaced(p.weight, "}", ",\"dtype\":\"F32\"}"); },
                "\"dtype\" is there twice");
  check_refused([](Parts& p) { p.weight = replaced(p.weight, "}", ",\"more\":1}"); }, "unknown entry \"more\"");
  check_refused([](Parts& p) { p.bias = entry("bias", "3", 12, 24); }, "tensor \"bias\" begins at byte 12");
  check_refused([](Parts& p) { p.bias = entry("bias", "3", 28, 40), p.data += floats(1); }, "begins at byte 28");
  check_refused([](Parts& p) { p.bias = entry("bias", "3", 24, 40), p.data += floats(1); },
                "has 16 bytes of data; its shape needs 12");
  check_refused([](Parts& p) { p.bias = entry("bias", "3", 25, 37), p.data += 'a'; }, "multiple of 4");
  check_refused([](Parts& p) { p.bias = entry("bias", "3", 1 << 20, (1 << 20) + 12); }, "no range within");
  check_refused([](Parts& p) { p.bias = entry("bias", "3", 36, 24); }, "no range within");
  check_refused([](Parts& p) { p.bias = replaced(p.bias, "24,36", "24"); }, "no range within");
  check_refused([](Parts& p) { p.bias = replaced(p.bias, "[24,36]", "7"); }, "has no list data_offsets");
  check_refused([](Parts& p) { p.data += floats(1); }, "end at byte 36 of the data, which has 40");
  check_refused([](Parts& p) { p.bias = replaced(p.bias, "[3]", "[-3]"); }, "\"bias\" has \"-3\" in its shape");
  check_refused([](Parts& p) { p.bias = replaced(p.bias, "[3]", "[3.0]"); }, "\"bias\" has \"3.0\" in its shape");
  check_refused([](Parts& p) { p.bias = replaced(p.bias, "[3]", "[1e999]"); }, "no JSON");
  check_refused([](Parts& p) { p.bias = replaced(p.bias, "[3]", "[18446744073709551615]"); }, "in its shape");
  check_refused([](Parts& p) { p.bias = replaced(p.bias, "[3]", "[4611686018427387904,4]"); }, "larger than memory");
  check_refused([](Parts& p) { p.bias = replaced(p.bias, "[3]", "[4611686018427387904,4,0,3]"); }, "larger than");
  check_refused([](Parts& p) { p.bias = entry("bias", "3", 24, 36, "F16"); }, "dtype \"F16\"; expected F32: convert");
  check_refused([](Parts& p) { p.bias = entry("bias", "3", 24, 36, "I32"); }, "\"bias\" has dtype \"I32\"");
  check_refused([](Parts& p) { p.bias = entry("bias", "1,3", 24, 36); }, "bias has shape (1, 3); expected (3,)");
  check_refused([](Parts& p) { p.weight = entry("weight", "2,3", 0, 24); }, "weight has shape (2, 3); expected (3, 2)");
  check_refused([](Parts& p) { p.bias = entry("bios", "3", 24, 36); }, "no tensor bias, which block 0 (Dense) needs");
  check_refused([](Parts& p) { p.more = "," + entry("x", "1", 36, 40), p.data += floats(1); }, "x belongs to no block");
  const std::string longest(200000, 'n');
  check_refused([&](Parts&) { return file_of("{\"" + longest, ""); }, "no JSON");
  check_refused([&](Parts& p) { p.bias = entry(longest, "3", 24, 36); }, "no tensor bias");
  check_refused([&](Parts& p) { p.bias = entry(longest, "3", 24, 40); }, "nnn\"... has");
  check_refused([&](Parts& p) { p.more = "," + entry(longest, "1", 36, 40), p.data += floats(1); },
                "nnn... belongs to");
  check_refused([&](Parts& p) { p.bias = entry("bias", "3" + std::string(100000, ' ') + ",1,1,1,1,1,1,1,1", 24, 36); },
                "of 9 dimensions");
  check_refused([&](Parts& p) { p.description = "{\\\"" + longest + "\\\":1}"; }, "version is missing");
  check_refused([](Parts& p) { p.more = "," + entry("\\n\\u0001", "1", 36, 40), p.data += floats(1); }, "tensor ??");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()})
    check_refused([bad](Parts& p) { p.data.replace(28, 4, floats(1, bad)); },
                  std::isnan(bad) ? "\"bias\" holds NaN at element 1" : "\"bias\" holds infinity at element 1");
  const auto description = [](const std::string& from, const std::string& to, const std::string& text) {
    check_refused([&](Parts& p) { p.description = replaced(p.description, from, to); }, text);
  };
  description("Dense", "Conv", "block 0: type is \"Conv\"; expected \"RNN\", \"LSTM\", \"GRU\", \"Dense\", ");
  description("\\\"prefix\\\":\\\"\\\"", "\\\"peephole\\\":true", "option \"peephole\" that Dense does not have");
  description("\\\"version\\\":1", "\\\"version\\\":2", "version is \"2\"; this library reads version 1");
  description("\\\"version\\\":1,", "", "version is missing");
  description("\\\"version\\\":1,", "\\\"version\\\":1,\\\"version\\\":1,", "\"version\" is there twice");
  description("\\\"version\\\":1", "\\\"version\\\":1,\\\"extra\\\":1", "unknown entry \"extra\"");
  description("\\\"output_size\\\":3", "\\\"output_size\\\":3,\\\"activation\\\":\\\"gelu\\\"",
              "activation is \"gelu\"");
  description("\\\"output_size\\\":3", "\\\"output_size\\\":3.5", "output_size is no whole number");
  description("\\\"output_size\\\":3", "\\\"output_size\\\":99999999999999999999", "output_size is no whole number");
  description("\\\"output_size\\\":3", "\\\"output_size\\\":true", "output_size is no whole number");
  description("\\\"output_size\\\":3", "\\\"output_size\\\":3,\\\"bias\\\":0", "bias is neither true nor false");
  description("\\\"input_size\\\":2", "\\\"input_size\\\":0", "input_size is 0");
  description("\\\"input_size\\\":2", "\\\"input_size\\\":2000000000", "weight has shape (3, 2)");
  description("\\\"type\\\":\\\"Dense\\\"", "\\\"type\\\":\\\"LSTM\\\"", "option \"output_size\" that LSTM does not");
  const std::string lstm = R"(\"type\":\"LSTM\",\"prefix\":\"\",\"hidden_size\":1000000000,\"num_layers\":1000000000,)";
  description(R"(\"type\":\"Dense\",\"prefix\":\"\",)", lstm, "output_size");
  check_refused([&](Parts& p) { p.description = R"({\"version\":1,\"blocks\":[{)" + lstm + R"(\"input_size\":2}]})"; },
                "weights would be larger than memory");
  check_refused(
      [&](Parts& p) {
        p.description =
            R"({\"version\":1,\"blocks\":[{)" + replaced(lstm, "1000000000", "50000000") + R"(\"input_size\":2}]})";
      },
      "");
  const auto function = [](const std::string& value, const std::string& text) {
    check_refused(
        [&](Parts& p) {
          p.description = R"({\"version\":1,\"blocks\":[{\"type\":\"RNN\",\"nonlinearity\":)" + value + "}]}";
        },
        text);
  };
  function("[]", "nonlinearity is an empty list");
  function(R"([1,\"elu\"])", "nonlinearity is no text");
  function(R"([\"elu\",\"1\"])", "nonlinearity is no number");
  function(R"([\"elu\",[1]])", "nonlinearity is no number");
  function(R"([\"elu\",1,2])", "nonlinearity is \"elu\" with 2 numbers; expected at most 1");
  function(R"(\"gelu\")", "nonlinearity is \"gelu\"");
  check_refused([](Parts& p) { p.description = "{"; }, "no JSON");
  check_refused([](Parts& p) { p.description = R"({\"version\":1,\"blocks\":[]})"; }, "there are no blocks");
  check_refused([](Parts& p) { p.description = std::string(1000, '['); }, "nested deeper");
  check_refused([](Parts& p) { return replaced(p.file(), "\"gru_native\":\"", "\"gru_native\":1,\"x\":\""); }, "");
  CHECK(throws<FileError>([] { Model::load("/nonexistent/a.safetensors"); }, "/nonexistent/a.safetensors: "),
        "no error");
  CHECK(throws<FileError>([] { Model::load("/dev/zero"); }, "/dev/zero: is a device"), "no error");
  CHECK(throws<FileError>([] { Model::load("/"); }, "/: is a directory"), "no error");
  CHECK(throws<FileError>([] { chain_of<float>({dense_of(1, 1)}, 1)->save("/nonexistent/a"); }, "/nonexistent/a: "),
        "no error");
}

}  // namespace

namespace {
// test_files FOLDER: a model, an input and its output, for Python (tests/test_cpp.py).
void write_for_python(const std::string& folder) {
  const auto model = chain_of<float>({spec_of(Cell::lstm, 3, 20, 2), spec_of(Cell::gru, 20, 9, 1, false, 0, false),
                                      dense_of(9, 2, DenseActivation::softmax)},
                                     4);
  model->save(folder + "/model");
  const auto bytes = [](const std::vector<float>& v) {
    return std::string(reinterpret_cast<const char*>(v.data()), v.size() * sizeof(float));
  };
  write(folder + "/x", bytes(random_numbers<float>(9 * 2 * 3, 77)));
  write(folder + "/y", bytes(outputs(*model)));
  for (const Precision precision : {Precision::int8, Precision::bf16}) {
    const std::string name = folder + (precision == Precision::int8 ? "/int8" : "/bf16");
    const auto fast = quantized(*model, precision);
    fast->save(name);
    write(name + "_y", bytes(outputs(*fast)));
  }
}
}  // namespace

int main(int argc, char** argv) {
  if (argc == 2) return write_for_python(argv[1]), 0;
  for (const LayerSpec& spec : all_cells(3, 5, 2, false)) {
    check_round_trip<float>({spec});
    check_round_trip<double>({spec, dense_of(spec.output_size(), 2, DenseActivation::tanh)});
    check_round_trip<float>({spec, dense_of(spec.output_size(), 3, DenseActivation::softmax)});
    check_round_trip<double>({spec, dense_of(spec.output_size(), 3, DenseActivation::log_softmax)});
  }
  check_few_bits(Precision::int8);
  check_few_bits(Precision::bf16);
  check_options();
  check_inference();
  check_hostile();
  return done("files");
}
