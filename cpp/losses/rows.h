// What the losses share.
#pragma once

namespace gru_native {

// What the softmax of one number costs, in multiply-adds (engine/matrix/shares.h).
inline constexpr double softmax_macs = 8;

}  // namespace gru_native
