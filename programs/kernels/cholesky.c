/* The Cholesky decomposition of a symmetric matrix of doubles: triangular loops, sums that must not be reordered,
 * divisions and square roots. A round is a 120 x 120 matrix. */
#define KERNEL_NAME "cholesky"
#define KERNEL_DEFAULT_N 10
#include "kernel.h"

#define SIDE 120

static double start[SIDE][SIDE], a[SIDE][SIDE];

static void decompose(void) {
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < i; j++) {
            for (int k = 0; k < j; k++)
                a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
        for (int k = 0; k < i; k++)
            a[i][i] -= a[i][k] * a[i][k];
        a[i][i] = __builtin_sqrt(a[i][i]);
    }
}

static uint64_t kernel(uint32_t n) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j <= i; j++)
            start[i][j] = start[j][i] =
                (double)(random_u64() >> 40) / 16777216.0 + (i == j ? 2.0 * SIDE : 0.0);
    uint64_t sum = MIX_START;
    for (uint32_t round = 0; round < n; round++) {
        memcpy(a, start, sizeof a);
        a[0][0] += round;
        decompose();
        for (int i = 0; i < SIDE; i++)
            sum = mix_f64(sum, a[i][i]);
    }
    return sum;
}
