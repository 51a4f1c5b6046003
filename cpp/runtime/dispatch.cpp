#include "runtime/dispatch.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

#include "gru_native/runtime.h"
#include "kernels/isa/tables.h"
#include "runtime/locks.h"

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

#if defined(__x86_64__)
// `bit` of EAX in leaf 7, subleaf 1, of CPUID: older compilers know no names of its features.
bool cpu_has_in_leaf_7_1(unsigned bit) {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && ((eax >> bit) & 1);
}
#endif

bool cpu_has_int8_dot(const IsaKernels& isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (isa.f32.lanes == 16) return __builtin_cpu_supports("avx512vnni");
  return isa.f32.lanes == 8 && cpu_has_in_leaf_7_1(4);  // AVX_VNNI
#elif defined(__aarch64__) && defined(__linux__)
  return isa.f32.lanes == 4 && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP);
#else
  return isa.f32.lanes == 0;
#endif
}

bool cpu_has_bf16_dot(const IsaKernels& isa) {
#if defined(__x86_64__)
  return isa.f32.lanes == 16 && cpu_has_in_leaf_7_1(5);  // AVX512_BF16
#else
  return isa.f32.lanes == 0;
#endif
}

// Kernels, and the forms of dot product beside them. `name`: as GRU_NATIVE_ISA has it.
struct Isa {
  const IsaKernels* kernels;
  const QuantizedKernels *int8, *bf16;
  std::string name;
};

std::vector<Isa> runnable_isas() {
  std::vector<Isa> list;
  for (const IsaKernels* kernels : runnable_kernels()) {
    list.push_back({kernels, &kernels->int8, &kernels->bf16, kernels->name});
    const bool int8 = kernels->int8_dot && cpu_has_int8_dot(*kernels);
    const bool bf16 = kernels->bf16_dot && cpu_has_bf16_dot(*kernels);
    if (int8 || bf16)
      list.push_back({kernels, int8 ? kernels->int8_dot : &kernels->int8, bf16 ? kernels->bf16_dot : &kernels->bf16,
                      std::string(kernels->name) + "+dot"});
  }
  return list;
}

Isa choose() {
  const std::vector<Isa> list = runnable_isas();
  const char* wanted = std::getenv("GRU_NATIVE_ISA");
  if (!wanted || !*wanted) return list.back();
  std::string names;
  for (const Isa& isa : list) {
    if (wanted == isa.name) return isa;
    names += (names.empty() ? "" : ", ") + isa.name;
  }
  throw std::invalid_argument("GRU_NATIVE_ISA is \"" + std::string(wanted) + "\"; this CPU can run: " + names);
}

FoundOnce<const Isa> chosen;

const Isa& active() { return chosen.get(choose); }

}  // namespace

const IsaKernels& active_kernels() { return *active().kernels; }

template <>
const Kernels<float>& kernels_for<float>() {
  return active_kernels().f32;
}
template <>
const Kernels<double>& kernels_for<double>() {
  return active_kernels().f64;
}

const QuantizedKernels& quantized_kernels_for(Precision precision) {
  return precision == Precision::int8 ? *active().int8 : *active().bf16;
}

std::vector<QuantizedForm> quantized_forms(const IsaKernels& isa) {
  std::vector<QuantizedForm> forms{{Precision::int8, &isa.int8, false}, {Precision::bf16, &isa.bf16, false}};
  if (isa.int8_dot && cpu_has_int8_dot(isa)) forms.push_back({Precision::int8, isa.int8_dot, true});
  if (isa.bf16_dot && cpu_has_bf16_dot(isa)) forms.push_back({Precision::bf16, isa.bf16_dot, true});
  return forms;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Isa& isa : runnable_isas()) names.push_back(isa.name);
  return names;
}

std::string active_isa() { return active().name; }

}  // namespace gru_native
