/* Matrix multiplication in double precision as linear algebra libraries state it, C = beta * C + alpha * A * B, with
 * loops in the order that runs along rows: a loop that multiplies and adds neighbours. A round is one 128 x 128 product. */
#define KERNEL_NAME "gemm"
#define KERNEL_DEFAULT_N 20
#include "kernel.h"

#define SIDE 128

static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

static void gemm(double alpha, double beta) {
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++)
            c[i][j] *= beta;
        for (int k = 0; k < SIDE; k++)
            for (int j = 0; j < SIDE; j++)
                c[i][j] += alpha * a[i][k] * b[k][j];
    }
}

static uint64_t kernel(uint32_t n) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (double)(random_u64() >> 40) / 16777216.0;
            b[i][j] = (double)(random_u64() >> 40) / 16777216.0 - 0.5;
            c[i][j] = (double)((i * j) % SIDE) / SIDE;
        }
    for (uint32_t round = 0; round < n; round++)
        gemm(1.25 / SIDE, 0.5);
    uint64_t sum = MIX_START;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            sum = mix_f64(sum, c[i][j]);
    return sum;
}
