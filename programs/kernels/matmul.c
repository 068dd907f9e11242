/* Matrix multiplication in double precision, the plain three loops: floating point with strided loads. A round
 * multiplies two 96 x 96 matrices and feeds the scaled product back. */
#define KERNEL_NAME "matmul"
#define KERNEL_DEFAULT_N 20
#include "kernel.h"

#define SIDE 96

static double a[SIDE][SIDE], b[SIDE][SIDE], product[SIDE][SIDE];

static void multiply(void) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double cell = 0;
            for (int k = 0; k < SIDE; k++)
                cell += a[i][k] * b[k][j];
            product[i][j] = cell;
        }
}

static uint64_t kernel(uint32_t n) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (double)(random_u64() >> 40) / 16777216.0;
            b[i][j] = (double)(random_u64() >> 40) / 16777216.0 - 0.5;
        }
    for (uint32_t round = 0; round < n; round++) {
        multiply();
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++)
                a[i][j] = product[i][j] / SIDE + a[j][i] * 0.5;
    }
    uint64_t sum = MIX_START;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            sum = mix_f64(sum, a[i][j]);
    return sum;
}
