#include "runtime/dispatch.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "gru_native/runtime.h"
#include "kernels/isa/tables.h"

namespace gru_native {

std::vector<const IsaKernels*> runnable_kernels() {
  std::vector<const IsaKernels*> list{&baseline::kernels};
#if defined(GRU_NATIVE_HAS_AVX2)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list.push_back(&avx2::kernels);
#endif
#if defined(GRU_NATIVE_HAS_AVX512)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    list.push_back(&avx512::kernels);
#endif
  return list;
}

namespace {

const IsaKernels& choose() {
  const auto list = runnable_kernels();
  const char* wanted = std::getenv("GRU_NATIVE_ISA");
  if (!wanted || !*wanted) return *list.back();
  std::string names;
  for (const IsaKernels* isa : list) {
    if (std::string(wanted) == isa->name) return *isa;
    names += std::string(names.empty() ? "" : ", ") + isa->name;
  }
  throw std::invalid_argument("GRU_NATIVE_ISA is \"" + std::string(wanted) + "\"; this CPU can run: " + names);
}

}  // namespace

const IsaKernels& active_kernels() {
  static const IsaKernels& chosen = choose();
  return chosen;
}

template <>
const Kernels<float>& kernels_for<float>() {
  return active_kernels().f32;
}
template <>
const Kernels<double>& kernels_for<double>() {
  return active_kernels().f64;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const IsaKernels* isa : runnable_kernels()) names.emplace_back(isa->name);
  return names;
}

std::string active_isa() { return active_kernels().name; }

}  // namespace gru_native
