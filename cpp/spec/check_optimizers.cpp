// What an OptimizerSpec may be.
#include <cmath>

#include "gru_native/optim.h"
#include "spec/checks.h"
#include "spec/names.h"

namespace gru_native {
namespace {

void check_least(const char* name, double value, double least) {
  if (!(value >= least && std::isfinite(value)))
    refuse(name, shown(value), "a number of at least " + std::to_string(static_cast<int>(least)));
}
void check_beta(const char* name, double value) {
  if (!(value >= 0 && value < 1)) refuse(name, shown(value), "a number from 0 to below 1");
}

void check(const Sgd& s) {
  check_least("lr", s.lr, 0);
  check_least("momentum", s.momentum, 0);
  check_least("weight_decay", s.weight_decay, 0);
  if (!std::isfinite(s.dampening)) refuse("dampening", shown(s.dampening), "a finite number");
  if (s.nesterov && (s.momentum == 0 || s.dampening != 0))
    refuse("nesterov", "True", "a momentum with it, and no dampening");
}
void check(const Adagrad& s) {
  check_least("lr", s.lr, 0);
  check_least("lr_decay", s.lr_decay, 0);
  check_least("weight_decay", s.weight_decay, 0);
  check_least("initial_accumulator_value", s.initial_accumulator_value, 0);
  check_least("eps", s.eps, 0);
}
void check(const Adam& s) {
  check_least("lr", s.lr, 0);
  check_beta("betas[0]", s.beta1);
  check_beta("betas[1]", s.beta2);
  check_least("eps", s.eps, 0);
  check_least("weight_decay", s.weight_decay, 0);
}

}  // namespace

void validate(const OptimizerSpec& spec) {
  std::visit([](const auto& kind) { check(kind); }, spec);
}

}  // namespace gru_native
