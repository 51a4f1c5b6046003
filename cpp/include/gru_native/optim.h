/// \file
/// Optimizers: what turns gradients into better weights. Definitions and defaults are PyTorch's.
#pragma once
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "gru_native/export.h"
#include "gru_native/views.h"

namespace gru_native {

/// Stochastic gradient descent, as torch.optim.SGD.
struct Sgd {
  double lr = 1e-3;
  double momentum = 0;   ///< (Polyak 1964); 0: none.
  double dampening = 0;  ///< Of the gradient in the momentum, from the second step on.
  double weight_decay = 0;
  bool nesterov = false;  ///< Needs momentum and no dampening.
};

/// Adagrad (Duchi, Hazan and Singer 2011), as torch.optim.Adagrad.
struct Adagrad {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
};

/// Adam (Kingma and Ba 2015), as torch.optim.Adam, or with `decoupled` weight decay (Loshchilov and Hutter 2019) as
/// torch.optim.AdamW.
struct Adam {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;
};

using OptimizerSpec = std::variant<Sgd, Adagrad, Adam>;

/// Throws std::invalid_argument, naming the field that makes no sense.
GRU_NATIVE_API void validate(const OptimizerSpec& spec);

/// The gradient of a weight: of all of it, or of some of its rows. A row is what one index on the first axis stands
/// for.
template <class T>
struct WeightGradient {
  const T* data = nullptr;             ///< In the shape of the weight, or [num_rows][...]; null: none.
  const std::int64_t* rows = nullptr;  ///< [num_rows], increasing; null: all rows.
  std::int64_t num_rows = 0;
};

/// The states of all weights of one or several layers, and the steps that change both.
///
///     gru_native::Optimizer<float> adam(gru_native::Adam{}, layer.weights());
///     ...
///     layer.backward(*tape, call);  // which fills the gradients
///     auto edit = layer.edit();
///     adam.step(edit.weights(), gradients);
///
/// Where a weight has no gradient nothing happens, and where only some rows have one the others keep their states, too:
/// what is not touched costs nothing (as torch.optim.SparseAdam). Not safe from two threads at once.
template <class T>
class GRU_NATIVE_API Optimizer {
 public:
  /// For weights of these names and shapes, whose numbers are not read. Throws std::invalid_argument, std::bad_alloc.
  Optimizer(const OptimizerSpec& spec, const std::vector<Weight<const T>>& weights);
  ~Optimizer();
  Optimizer(Optimizer&& other) noexcept;
  Optimizer& operator=(Optimizer&& other) noexcept;

  const OptimizerSpec& spec() const;
  /// The learning rate of the next steps. Throws std::invalid_argument for one below 0.
  void set_lr(double lr);

  /// One step, in place, on all cores. `weights` are those of the constructor, in its order, with a gradient each.
  /// Throws std::invalid_argument for other shapes and for rows that do not increase; nothing is then changed.
  void step(const std::vector<Weight<T>>& weights, const std::vector<WeightGradient<T>>& gradients);

  /// What the steps remember, by PyTorch's names: "weight_ih_l0.exp_avg". It may be read, saved and written.
  const std::vector<Weight<T>>& state() const;
  /// How many steps each weight has had.
  const std::vector<std::int64_t>& steps() const;
  /// Throws std::invalid_argument unless there is one number, 0 or more, for each weight.
  void set_steps(const std::vector<std::int64_t>& steps);

 private:
  friend struct detail::Access;
  struct GRU_NATIVE_HIDDEN Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gru_native
