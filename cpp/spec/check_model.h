// What calls of chains and of their streams may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/model.h"

namespace gru_native {

// Of sequences as such, whatever goes through them.
void check_extent(std::int64_t seq_len, std::int64_t batch);
// Of the states of `batch` sequences with so many numbers each.
void check_states(std::int64_t batch, std::int64_t numbers);

template <class T>
void check_model(std::int64_t inputs, std::int64_t outputs, std::int64_t output_len, const ModelCall<T>& call);
template <class T>
void check_stream(std::int64_t inputs, std::int64_t outputs, const Sequences<const T>& x, const Sequences<T>& y,
                  std::int64_t seq_len, std::int64_t batch, std::int64_t output_len);

}  // namespace gru_native
