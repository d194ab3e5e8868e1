/* The elementwise part of one LSTM step in one pass, forwards and backwards. The formulas and their names are those of
   gated_bptt.py; rows (B) are shared among threads. Compiled by _fused.py where a reader asks for it. */

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

/* a (B, 4m): pre-activations; gates (B, 4m): i, f, s, o, may be a itself; K_before, K, h (B, m) */
void forward(const float *a, float *gates, const float *K_before, float *K, float *h, long B, long m, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (long b = 0; b < B; b++) {
    const float *from = a + 4 * m * b, *kept = K_before + m * b;
    float *to = gates + 4 * m * b, *K_t = K + m * b, *h_t = h + m * b;
#pragma GCC ivdep
    for (long j = 0; j < m; j++) {
      float i = sigmoid(from[j]), f = sigmoid(from[m + j]), s = sigmoid(from[2 * m + j]), o = sigmoid(from[3 * m + j]);
      float k = f * kept[j] + i * (4 * s - 2);
      to[j] = i, to[m + j] = f, to[2 * m + j] = s, to[3 * m + j] = o;
      K_t[j] = k;
      h_t[j] = o * (1 - 2 * sigmoid(k));
    }
  }
}

/* delta (B, 4m) is written, a quarter of it for the candidate; d_K (B, m) is changed; d_h (B, m): all that is asked */
void backward(float *delta, const float *gates, const float *K_before, const float *K, const float *d_h, float *d_K,
              long B, long m, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (long b = 0; b < B; b++) {
    const float *gate = gates + 4 * m * b, *kept = K_before + m * b, *K_t = K + m * b, *asked = d_h + m * b;
    float *to = delta + 4 * m * b, *along = d_K + m * b;
#pragma GCC ivdep
    for (long j = 0; j < m; j++) {
      float i = gate[j], f = gate[m + j], s = gate[2 * m + j], o = gate[3 * m + j];
      float s_K = sigmoid(K_t[j]);
      float d = along[j] - 2 * asked[j] * o * s_K * (1 - s_K);
      to[j] = d * (4 * s - 2) * i * (1 - i);
      to[m + j] = d * kept[j] * f * (1 - f);
      to[2 * m + j] = d * i * s * (1 - s);
      to[3 * m + j] = asked[j] * (1 - 2 * s_K) * o * (1 - o);
      along[j] = d * f;
    }
  }
}
