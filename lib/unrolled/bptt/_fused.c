/* The elementwise part of one LSTM step in one pass, forwards and backwards. The formulas and their names are those of
   _lstm_steps.py; rows (B) are shared among threads. Compiled by _fused.py where a reader asks for it. */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* 1 / (1 + exp(-a)): exp(-a) = 2^n exp(r) with |r| <= ln(2)/2, and exp(r) by Cephes' polynomial of degree 7 */
static inline __attribute__((always_inline)) float sigmoid(float a) {
  a = a < -87.0f ? -87.0f : a > 87.0f ? 87.0f : a;
  float n = rintf(a * -1.44269504f);
  float r = -a - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits = ((int32_t)n + 127) << 23;
  float two_to_n;
  memcpy(&two_to_n, &bits, sizeof bits);
  return 1.0f / (1.0f + p * two_to_n);
}

/* Cephes' polynomial where 1 - 2 / (exp(2a) + 1) would lose what is small; both are always made, so that no lane waits */
static inline __attribute__((always_inline)) float tanh_(float a) {
  float z = a * a, size = fabsf(a);
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  float small = p * z * a + a, large = copysignf(1 - 2 * sigmoid(-2 * size), a);
  return size < 0.625f ? small : large;
}

/* a (B, 4m): pre-activations; gates (B, 4m): o, i, f, g, may be a itself; C_before, C, h (B, m) */
void forward(const float *a, float *gates, const float *C_before, float *C, float *h, long B, long m, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (long b = 0; b < B; b++) {
    const float *from = a + 4 * m * b, *kept = C_before + m * b;
    float *to = gates + 4 * m * b, *C_t = C + m * b, *h_t = h + m * b;
#pragma GCC ivdep
    for (long j = 0; j < m; j++) {
      float o = sigmoid(from[j]), i = sigmoid(from[m + j]), f = sigmoid(from[2 * m + j]), g = tanh_(from[3 * m + j]);
      float c = f * kept[j] + i * g;
      to[j] = o, to[m + j] = i, to[2 * m + j] = f, to[3 * m + j] = g;
      C_t[j] = c;
      h_t[j] = o * tanh_(c);
    }
  }
}

/* delta (B, 4m) is written; d_C (B, m) is changed; d_h (B, m): all that is asked of h_t */
void backward(float *delta, const float *gates, const float *C_before, const float *C, const float *d_h, float *d_C,
              long B, long m, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (long b = 0; b < B; b++) {
    const float *gate = gates + 4 * m * b, *kept = C_before + m * b, *C_t = C + m * b, *asked = d_h + m * b;
    float *to = delta + 4 * m * b, *along = d_C + m * b;
#pragma GCC ivdep
    for (long j = 0; j < m; j++) {
      float o = gate[j], i = gate[m + j], f = gate[2 * m + j], g = gate[3 * m + j];
      float tanh_C = tanh_(C_t[j]);
      float d = along[j] + asked[j] * o * (1 - tanh_C * tanh_C);
      to[j] = asked[j] * tanh_C * o * (1 - o);
      to[m + j] = d * g * i * (1 - i);
      to[2 * m + j] = d * kept[j] * f * (1 - f);
      to[3 * m + j] = d * i * (1 - g * g);
      along[j] = d * f;
    }
  }
}
