/* The largest singular value of an infinite matrix by the power method: divisions of doubles whose matrix is computed and
 * not stored. A round is one application of the matrix and its transpose to 300 numbers. */
#define KERNEL_NAME "spectralnorm"
#define KERNEL_DEFAULT_N 10
#include "kernel.h"

#define SIZE 300

static double u[SIZE], v[SIZE], between[SIZE];

static double entry(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void times(const double *from, double *to) {
    for (int i = 0; i < SIZE; i++) {
        double sum = 0;
        for (int j = 0; j < SIZE; j++)
            sum += entry(i, j) * from[j];
        to[i] = sum;
    }
}

static void times_transposed(const double *from, double *to) {
    for (int i = 0; i < SIZE; i++) {
        double sum = 0;
        for (int j = 0; j < SIZE; j++)
            sum += entry(j, i) * from[j];
        to[i] = sum;
    }
}

static uint64_t kernel(uint32_t n) {
    for (int i = 0; i < SIZE; i++)
        u[i] = v[i] = 1;
    for (uint32_t round = 0; round < n; round++) {
        times(u, between);
        times_transposed(between, v);
        times(v, between);
        times_transposed(between, u);
    }
    double uv = 0, vv = 0;
    for (int i = 0; i < SIZE; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    return mix_f64(mix_f64(MIX_START, uv), vv);
}
