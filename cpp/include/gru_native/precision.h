/// \file
/// How many bits a layer's weights have.
#pragma once

namespace gru_native {

/// `full`: those of the layer's own type. `bf16`: the upper half of a float, rounded to the nearest. `int8`: whole
/// numbers from -127 to 127, with one scale for each row of the weight matrix; activations are made whole numbers, too,
/// with one scale for each row of the batch at each step. Small matrices are multiplied as floats of the same values.
enum class Precision { full, bf16, int8 };

}  // namespace gru_native
