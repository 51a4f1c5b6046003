// What operations may be, and what their calls may ask for. std::invalid_argument names what is wrong.
#pragma once
#include "gru_native/operation.h"

namespace gru_native {

// Before weights are made: what T can do.
template <class T>
void check_numbers(const OperationSpec& spec);
// Before a tape is made: whether backward can do with it.
void check_trainable(const OperationSpec& spec);

// Steps that a sequence must have to give an output.
std::int64_t least_len(const OperationSpec& spec);
// And how high an image must be.
std::int64_t least_height(const OperationSpec& spec);
// Whether y has no steps, whether steps are computed together, and whether there are as many of y as of x, each when
// its x comes.
bool ends_time(const OperationSpec& spec);
bool is_over_time(const OperationSpec& spec);
bool keeps_steps(const OperationSpec& spec);
// Of images: whether those of y are of another height.
bool changes_height(const OperationSpec& spec);
// Whether x must be images, or may be them as well.
bool reads_images(const OperationSpec& spec);
bool may_read_images(const OperationSpec& spec);
// Of a batch normalisation, of rows or of images; null: it is another operation.
const BatchNorm1dSpec* batch_norm_of(const OperationSpec& spec);
// Channels that it reads; 0: any, or none.
std::int64_t input_channels(const OperationSpec& spec);
// Whether it can go on from step to step.
void check_streamable(const OperationSpec& spec);

// Columns of x in this call, and channels of its images; 0: it has none.
template <class T>
std::int64_t input_size(const OperationSpec& spec, const OperationForwardCall<T>& call);
template <class T>
std::int64_t channels(const OperationSpec& spec, const OperationForwardCall<T>& call);

template <class T>
void check_call(const OperationSpec& spec, const OperationForwardCall<T>& call);
// Of a tape whose x and y had so many columns.
template <class T>
void check_call(const OperationSpec& spec, const OperationBackwardCall<T>& call, std::int64_t seq_len,
                std::int64_t batch, std::int64_t inputs, std::int64_t outputs, std::size_t weights);

}  // namespace gru_native
