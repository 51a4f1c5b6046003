// Functions of one number that follow a product.
#pragma once

namespace gru_native { enum class Activation { identity, tanh, sigmoid, relu }; }  // namespace gru_native
