// Floats made whole numbers of one byte, a vector at a time: what int8 does with a row of activations. Bytes that are
// stored one by one would keep those waiting who read four of them at once.
#pragma once
#include "simd/dot.h"

namespace gru_native::GRU_NATIVE_ISA {

// The first n lanes, fewer than all; the others 0.
EIGEN_ALWAYS_INLINE Lanes<float> load_some(const float* a, Index n) {
#if defined(__AVX512F__)
  if (n == 8) return {_mm512_zextps256_ps512(_mm256_loadu_ps(a))};  // at once behind the store of as many
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), a)};
#elif defined(__AVX2__)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return {_mm256_maskload_ps(a, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane))};
#else
  return Lanes<float>::load_first(a, n);
#endif
}

// |x| as integers, in which infinity and NaN are the largest.
EIGEN_ALWAYS_INLINE Ints sizes(Lanes<float> x) {
#if defined(__AVX512F__)
  return {_mm512_and_si512(_mm512_castps_si512(x.p), _mm512_set1_epi32(0x7fffffff))};
#elif defined(__AVX2__)
  return {_mm256_and_si256(_mm256_castps_si256(x.p), _mm256_set1_epi32(0x7fffffff))};
#elif defined(__SSE4_1__)
  return {_mm_and_si128(_mm_castps_si128(x.p), _mm_set1_epi32(0x7fffffff))};
#elif defined(__aarch64__)
  return {vandq_s32(vreinterpretq_s32_f32(x.p), vdupq_n_s32(0x7fffffff))};
#else
  Ints i = Ints::load(&x.p);
  for (std::int32_t& lane : i.p) lane &= 0x7fffffff;
  return i;
#endif
}

EIGEN_ALWAYS_INLINE Ints larger(Ints a, Ints b) {
#if defined(__AVX512F__)
  return {_mm512_max_epi32(a.p, b.p)};
#elif defined(__AVX2__)
  return {_mm256_max_epi32(a.p, b.p)};
#elif defined(__SSE4_1__)
  return {_mm_max_epi32(a.p, b.p)};
#elif defined(__aarch64__)
  return {vmaxq_s32(a.p, b.p)};
#else
  for (int k = 0; k < Lanes<float>::size; ++k) a.p[k] = a.p[k] < b.p[k] ? b.p[k] : a.p[k];
  return a;
#endif
}

// The largest of the lanes, as the float whose bits it is.
EIGEN_ALWAYS_INLINE float largest_of_lanes(Ints i) {
#if defined(__SSE4_1__)
#if defined(__AVX512F__)
  const __m256i y = _mm256_max_epi32(_mm512_castsi512_si256(i.p), _mm512_extracti64x4_epi64(i.p, 1));
  __m128i x = _mm_max_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
#elif defined(__AVX2__)
  __m128i x = _mm_max_epi32(_mm256_castsi256_si128(i.p), _mm256_extracti128_si256(i.p, 1));
#else
  __m128i x = i.p;
#endif
  x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4e));
  x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0xb1));
  return _mm_cvtss_f32(_mm_castsi128_ps(x));  // a register of integers on the way would take as long again
#else
#if defined(__aarch64__)
  const std::int32_t largest = vmaxvq_s32(i.p);
#else
  std::int32_t largest = i.p[0];
  for (const std::int32_t lane : i.p) largest = largest < lane ? lane : largest;
#endif
  float size;
  std::memcpy(&size, &largest, sizeof(size));
  return size;
#endif
}

// To the nearest whole number, ties to even, plus `zero_point`, modulo 256. x: from -127 to 127, or anything at all
// where the byte is not wanted.
EIGEN_ALWAYS_INLINE void store_whole(Lanes<float> x, int zero_point, std::int8_t* to) {
#if defined(__SSE4_1__)
#if defined(__AVX512F__)
  const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x.p));
#elif defined(__AVX2__)
  const __m256i i = _mm256_cvtps_epi32(x.p);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
  const __m128i bytes = _mm_packs_epi16(words, words);
#else
  const __m128i i = _mm_cvtps_epi32(x.p), words = _mm_packs_epi32(i, i), bytes = _mm_packs_epi16(words, words);
#endif
  const __m128i shifted = _mm_add_epi8(bytes, _mm_set1_epi8(static_cast<char>(zero_point)));
  std::memcpy(to, &shifted, Lanes<float>::size);
#elif defined(__aarch64__)
  const int16x4_t words = vmovn_s32(vcvtnq_s32_f32(x.p));
  const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
  const int8x8_t shifted = vadd_s8(bytes, vdup_n_s8(static_cast<std::int8_t>(zero_point)));
  std::memcpy(to, &shifted, Lanes<float>::size);
#else
  // In the sum with 1.5 * 2^23 the last bits of a float are the whole number.
  const Lanes<float> sum = x + Lanes<float>(12582912.0f);
  const Ints i = Ints::load(&sum.p);
  for (int k = 0; k < Lanes<float>::size; ++k) to[k] = static_cast<std::int8_t>(i.p[k] + zero_point);
#endif
}

}  // namespace gru_native::GRU_NATIVE_ISA
