// Choices that have names, in model files and in Python.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "gru_native/activation.h"

namespace gru_native {

inline constexpr const char* activation_names[] = {"identity", "tanh", "sigmoid",
                                                   "relu"};  // in the order of Activation

// In the order of DenseActivation.
inline constexpr const char* dense_activation_names[] = {"identity", "tanh",    "sigmoid",
                                                         "relu",     "softmax", "log_softmax"};

// All functions of one number, in the order of Activation.
inline constexpr const char* function_names[] = {"identity", "tanh",     "sigmoid",     "relu",
                                                 "softsign", "softplus", "leaky_relu",  "thresholded_relu",
                                                 "elu",      "affine",   "scaled_tanh", "hard_sigmoid"};

// How many numbers a function has: alpha, or alpha and beta, or none.
int numbers_of(Activation f);

// The function of this name, with these numbers in place of its usual ones. Throws std::invalid_argument.
ActivationFunction function_named(const char* option, const std::string& name, const std::vector<double>& numbers);
// Its numbers, none where they are the usual ones.
std::vector<double> unusual_numbers(const ActivationFunction& f);

inline constexpr const char* padding_names[] = {"causal", "same", "valid"};  // as Padding::Kind begins
inline constexpr const char* branch_names[] = {"fork", "next", "add", "multiply", "concat"};
inline constexpr const char* pool_names[] = {"last", "mean", "max"};

// A text from outside, fit for an error: not too long, without control characters.
std::string shown(std::string text);
// A number by the shortest of usual forms that tells it from its neighbours.
std::string shown(double number);

inline constexpr const char* aggregate_names[] = {"concat", "sum"};  // in the order of Aggregate

inline constexpr const char* attention_names[] = {"none", "additive", "dot", "general",
                                                  "location"};  // in the order of Attention; Python's None is "none"
inline constexpr const char* readout_names[] = {"tanh", "maxout"};  // in the order of ReadoutFunction

// In the order of LargeSoftmaxSpec::kind and of Proposal.
enum class LargeSoftmaxKind { sampled, contrastive, classes, tree };
inline constexpr const char* large_softmax_names[] = {"SampledSoftmax", "NoiseContrastive", "ClassSoftmax",
                                                      "TreeSoftmax"};
inline constexpr const char* proposal_names[] = {"uniform", "log_uniform", "counts"};

inline constexpr const char* precision_names[] = {"full", "bf16", "int8"};  // in the order of Precision

inline constexpr const char* masked_output_names[] = {"zero", "hold"};  // in the order of MaskedOutput

// The place of `text` among the names. Throws std::invalid_argument: option is "text"; expected "a", "b" or "c".
int place_of(const char* option, const std::string& text, const char* const* names, std::size_t count);

// `names` in the order of the Enum.
template <class Enum, std::size_t n>
Enum named(const char* option, const std::string& text, const char* const (&names)[n]) {
  return static_cast<Enum>(place_of(option, text, names, n));
}

}  // namespace gru_native
