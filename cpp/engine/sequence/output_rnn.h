// What OutputRnn keeps behind its public face.
#pragma once
#include <memory>

#include "engine/matrix/lazily.h"
#include "engine/matrix/matrices.h"
#include "engine/matrix/weights.h"
#include "engine/sequence/timeline.h"
#include "engine/threads.h"
#include "gru_native/output_rnn.h"
#include "runtime/team.h"

namespace gru_native {

template <class T>
struct OutputRnnPanels {
  PackedMatrix<T> ih, oh, ho;
};

template <class T>
struct PackedOutputRnn : OutputRnnPanels<T> {
  Buffer<T> bias_h, bias_o;    // zeros where there are none
  Index hidden = 0, outputs = 0;

  const OutputRnnPanels<T>& transposed() const {  // inference never needs it
    const Index lanes = kernels_for<T>().lanes, of_h = divide_up(hidden, lanes), of_o = divide_up(outputs, lanes);
    return transposed_.get([&] {
      return OutputRnnPanels<T>{transpose(this->ih, lanes, of_h), transpose(this->oh, lanes, of_h),
                                transpose(this->ho, lanes, of_o)};
    });
  }

 private:
  Lazily<OutputRnnPanels<T>> transposed_;
};

// Compact rows (engine/sequence/timeline.h): inputs, what is fed back, units, outputs.
template <class T>
struct OutputRnnValues {
  Matrix<T> x{}, fed{}, h{}, y{};
};

template <class T>
struct OutputRnn<T>::Impl {
  explicit Impl(const OutputRnnSpec& s);

  std::shared_ptr<PackedOutputRnn<T>> reserve() const;
  void fill(PackedOutputRnn<T>& packed) const;
  double macs_of_row() const {
    return static_cast<double>(spec.hidden_size) * static_cast<double>(2 * spec.output_size) +
           macs_of_function * static_cast<double>(spec.hidden_size + spec.output_size);
  }
  int threads(const Timeline& time, bool forced) const { return useful_threads(spec, time.rows, time.batch, forced); }
  void forward(const OutputRnnForwardCall<T>& call, const Timeline& time, const PackedOutputRnn<T>& w,
               const OutputRnnValues<T>& v, TeamLease& team) const;
  OutputRnnValues<T> values(const Timeline& time, Arena& arena) const {
    return {take_zeroed_matrix<T>(arena, time.rows, spec.input_size),
            take_zeroed_matrix<T>(arena, time.rows, spec.output_size),
            take_zeroed_matrix<T>(arena, time.rows, spec.hidden_size),
            take_zeroed_matrix<T>(arena, time.rows, spec.output_size)};
  }

  OutputRnnSpec spec;
  WeightStore<T, PackedOutputRnn<T>> store;
  int ih, oh, bias_h, ho, bias_o;  // where the tensors lie in the store; -1: not there
};

}  // namespace gru_native
