// Dot products of numbers narrower than a lane. Each lane of a sum takes several k of its own column at once, which lie
// side by side in the lane's 32 bits:
//   int8   sum (int32) += a[k] w[k] + .. + a[k + 3] w[k + 3]      both from -127 to 127: no form saturates, sums are
//   exact bf16   sum (float) += a[k] w[k] + a[k + 1] w[k + 1]
// Eigen has none of these instructions. They are written as assembly where a CPU may lack what the rest of its
// instruction set has (the caller asks first), and where gcc 12 spills what the intrinsic's destructive operand ties
// up.
#pragma once
#include <cstdint>
#include <cstring>

#include "simd/bf16.h"
#include "simd/lanes.h"
#if defined(__SSE4_1__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace gru_native::GRU_NATIVE_ISA {

// As many 32-bit integers as Lanes<float> has floats.
struct Ints {
#if defined(__AVX512F__)
  __m512i p;
#elif defined(__AVX2__)
  __m256i p;
#elif defined(__SSE4_1__)
  __m128i p;
#elif defined(__aarch64__)
  int32x4_t p;
#else
  std::int32_t p[Lanes<float>::size];
#endif
  static EIGEN_ALWAYS_INLINE Ints load(const void* from) {
    Ints i;
    std::memcpy(&i.p, from, sizeof(i.p));
    return i;
  }
};

// The same 4 bytes in every lane.
EIGEN_ALWAYS_INLINE Ints broadcast(const void* from) {
  std::int32_t bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
#if defined(__AVX512F__)
  return {_mm512_set1_epi32(bytes)};
#elif defined(__AVX2__)
  return {_mm256_set1_epi32(bytes)};
#elif defined(__SSE4_1__)
  return {_mm_set1_epi32(bytes)};
#elif defined(__aarch64__)
  return {vdupq_n_s32(bytes)};
#else
  Ints i;
  for (std::int32_t& lane : i.p) lane = bytes;
  return i;
#endif
}

EIGEN_ALWAYS_INLINE Lanes<float> to_float(Ints i) {
#if defined(__AVX512F__)
  return {_mm512_cvtepi32_ps(i.p)};
#elif defined(__AVX2__)
  return {_mm256_cvtepi32_ps(i.p)};
#elif defined(__SSE4_1__)
  return {_mm_cvtepi32_ps(i.p)};
#elif defined(__aarch64__)
  return {vcvtq_f32_s32(i.p)};
#else
  float lanes[Lanes<float>::size];
  for (int k = 0; k < Lanes<float>::size; ++k) lanes[k] = static_cast<float>(i.p[k]);
  return Lanes<float>::load(lanes);
#endif
}

// --- int8
// -------------------------------------------------------------------------------------------------------------

// What every form of int8 has: 4 k in a lane, integer sums, bytes for activations.
struct Int8Form {
  static constexpr Index group = 4;  // k in a lane
  static constexpr bool integer = true;
  static constexpr int operand_registers = 1;
  using Number = float;
  using Sum = Ints;
  using Weight = std::int32_t;  // what a lane holds
  using Activation = std::int8_t;
  static constexpr int zero_point = 0;  // what is added to an activation to make its byte
  static constexpr Index float_depth = 28;  // with so few k a small matrix is multiplied faster as floats
  static EIGEN_ALWAYS_INLINE Ints load(const Weight* w) { return Ints::load(w); }
};

// |a| times w with a's sign: |a| w_k + |a| w_(k+1) stays within 127 * 127 * 2 < 2^15, so the 16-bit sums are exact.
struct Int8 : Int8Form {
#if defined(__AVX512F__)
  struct Operand {
    __m512i size;
    __mmask64 negative;
  };
  static EIGEN_ALWAYS_INLINE Operand operand(const void* a) {
    const __m512i x = broadcast(a).p;
    return {_mm512_abs_epi8(x), _mm512_movepi8_mask(x)};
  }
  static EIGEN_ALWAYS_INLINE Ints add(Ints sum, const Operand& a, Ints w) {
    const __m512i with_sign = _mm512_mask_sub_epi8(w.p, a.negative, _mm512_setzero_si512(), w.p);
    const __m512i pairs = _mm512_maddubs_epi16(a.size, with_sign);
    return {_mm512_add_epi32(sum.p, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
  }
#elif defined(__AVX2__)
  static constexpr int operand_registers = 2;
  struct Operand {
    __m256i size, a;
  };
  static EIGEN_ALWAYS_INLINE Operand operand(const void* from) {
    const __m256i a = broadcast(from).p;
    return {_mm256_abs_epi8(a), a};
  }
  static EIGEN_ALWAYS_INLINE Ints add(Ints sum, const Operand& a, Ints w) {
    const __m256i pairs = _mm256_maddubs_epi16(a.size, _mm256_sign_epi8(w.p, a.a));
    return {_mm256_add_epi32(sum.p, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
  }
#elif defined(__SSE4_1__)
  static constexpr int operand_registers = 2;
  struct Operand {
    __m128i size, a;
  };
  static EIGEN_ALWAYS_INLINE Operand operand(const void* from) {
    const __m128i a = broadcast(from).p;
    return {_mm_abs_epi8(a), a};
  }
  static EIGEN_ALWAYS_INLINE Ints add(Ints sum, const Operand& a, Ints w) {
    const __m128i pairs = _mm_maddubs_epi16(a.size, _mm_sign_epi8(w.p, a.a));
    return {_mm_add_epi32(sum.p, _mm_madd_epi16(pairs, _mm_set1_epi16(1)))};
  }
#elif defined(__aarch64__)
  using Operand = int8x16_t;
  static EIGEN_ALWAYS_INLINE Operand operand(const void* from) { return vreinterpretq_s8_s32(broadcast(from).p); }
  static EIGEN_ALWAYS_INLINE Ints add(Ints sum, Operand a, Ints w) {
    const int8x16_t x = vreinterpretq_s8_s32(w.p);
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(x)), high = vmull_high_s8(a, x);
    const int32x4_t fours = vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
    return {vaddq_s32(sum.p, fours)};
  }
#else
  using Operand = Ints;
  static EIGEN_ALWAYS_INLINE Operand operand(const void* a) { return broadcast(a); }
  static EIGEN_ALWAYS_INLINE Ints add(Ints sum, Operand a, Ints w) {
    for (int lane = 0; lane < Lanes<float>::size; ++lane) {
      std::int8_t x[4], y[4];
      std::memcpy(x, &a.p[lane], 4);
      std::memcpy(y, &w.p[lane], 4);
      for (int k = 0; k < 4; ++k) sum.p[lane] += x[k] * y[k];
    }
    return sum;
  }
#endif
};

#if defined(__AVX512F__) || defined(__AVX2__)
// AVX512_VNNI, AVX_VNNI: unsigned bytes times signed ones. Activations are stored as a + 128, so sums begin at
// -128 * sum of w, which was made when the weights were packed.
struct Int8Vnni : Int8Form {
  using Operand = Ints;
  static constexpr int zero_point = 128;
  static EIGEN_ALWAYS_INLINE Operand operand(const void* a) { return broadcast(a); }
  static EIGEN_ALWAYS_INLINE Ints add(Ints sum, Operand a, Ints w) {
#if defined(__AVX512F__)
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.p) : "v"(a.p), "v"(w.p));
#else
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum.p) : "x"(a.p), "x"(w.p));
#endif
    return sum;
  }
};
#elif defined(__aarch64__)
// The optional dot product of Armv8.2: signed bytes times signed ones.
struct Int8Dotprod : Int8Form {
  using Operand = int8x16_t;
  static EIGEN_ALWAYS_INLINE Operand operand(const void* from) { return vreinterpretq_s8_s32(broadcast(from).p); }
  static EIGEN_ALWAYS_INLINE Ints add(Ints sum, Operand a, Ints w) {
    asm(".arch armv8.2-a+dotprod\n\tsdot %0.4s, %1.16b, %2.16b" : "+w"(sum.p) : "w"(a), "w"(w.p));
    return sum;
  }
};
#endif

// --- bf16
// -------------------------------------------------------------------------------------------------------------

struct Bf16Form {
  static constexpr Index group = 2;
  static constexpr bool integer = false;
  static constexpr int operand_registers = 1;
  static constexpr int zero_point = 0;
  using Number = float;
  using Sum = Lanes<float>;
  using Weight = std::int32_t;
  static EIGEN_ALWAYS_INLINE Ints load(const Weight* w) { return Ints::load(w); }
};

// Both halves of a lane become floats by a shift and by a mask; activations stay floats.
struct Bf16 : Bf16Form {
  static constexpr int operand_registers = 2;
  static constexpr Index float_depth = 64;
  using Activation = float;
  struct Operand {
    Lanes<float> even, odd;
  };
  static EIGEN_ALWAYS_INLINE Operand operand(const void* a) {
    float pair[2];
    std::memcpy(pair, a, sizeof(pair));
    return {Lanes<float>(pair[0]), Lanes<float>(pair[1])};
  }
  static EIGEN_ALWAYS_INLINE Lanes<float> even(Ints w) {
#if defined(__AVX512F__)
    return {_mm512_castsi512_ps(_mm512_slli_epi32(w.p, 16))};
#elif defined(__AVX2__)
    return {_mm256_castsi256_ps(_mm256_slli_epi32(w.p, 16))};
#elif defined(__SSE4_1__)
    return {_mm_castsi128_ps(_mm_slli_epi32(w.p, 16))};
#elif defined(__aarch64__)
    return {vreinterpretq_f32_s32(vshlq_n_s32(w.p, 16))};
#else
    return of_bits(w, 16, 0xffff0000u);
#endif
  }
  static EIGEN_ALWAYS_INLINE Lanes<float> odd(Ints w) {
#if defined(__AVX512F__)
    return {_mm512_castsi512_ps(_mm512_and_si512(w.p, _mm512_set1_epi32(-65536)))};
#elif defined(__AVX2__)
    return {_mm256_castsi256_ps(_mm256_and_si256(w.p, _mm256_set1_epi32(-65536)))};
#elif defined(__SSE4_1__)
    return {_mm_castsi128_ps(_mm_and_si128(w.p, _mm_set1_epi32(-65536)))};
#elif defined(__aarch64__)
    return {vreinterpretq_f32_s32(vandq_s32(w.p, vdupq_n_s32(-65536)))};
#else
    return of_bits(w, 0, 0xffff0000u);
#endif
  }
  static EIGEN_ALWAYS_INLINE Lanes<float> add(Lanes<float> sum, const Operand& a, Ints w) {
    return multiply_add(a.odd, odd(w), multiply_add(a.even, even(w), sum));
  }

#if !defined(__SSE4_1__) && !defined(__aarch64__)
 private:
  static EIGEN_ALWAYS_INLINE Lanes<float> of_bits(Ints w, int shift, std::uint32_t mask) {
    float lanes[Lanes<float>::size];
    for (int k = 0; k < Lanes<float>::size; ++k) {
      const std::uint32_t bits = (static_cast<std::uint32_t>(w.p[k]) << shift) & mask;
      std::memcpy(lanes + k, &bits, sizeof(bits));
    }
    return Lanes<float>::load(lanes);
  }
#endif
};

#if defined(__AVX512F__)
// AVX512_BF16: activations are bf16, too.
struct Bf16Dot : Bf16Form {
  static constexpr Index float_depth = 16;
  using Activation = std::uint16_t;
  using Operand = Ints;
  static EIGEN_ALWAYS_INLINE Operand operand(const void* a) { return broadcast(a); }
  static EIGEN_ALWAYS_INLINE Lanes<float> add(Lanes<float> sum, Operand a, Ints w) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.p) : "v"(a.p), "v"(w.p));
    return sum;
  }
  // A vector of activations: as to_bf16 does it with each, but denormals become 0, as they do in all that follows.
  static EIGEN_ALWAYS_INLINE void store_activations(Lanes<float> x, Activation* to) {
    __m256i narrow;
    asm("vcvtneps2bf16 %1, %0" : "=v"(narrow) : "v"(x.p));
    std::memcpy(to, &narrow, sizeof(narrow));
  }
};
#endif

}  // namespace gru_native::GRU_NATIVE_ISA
