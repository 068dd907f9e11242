/* A five-point stencil over a grid of doubles, there and back: every cell becomes the mean of itself and its neighbours.
 * A round is two steps over 250 x 250 cells. */
#define KERNEL_NAME "jacobi2d"
#define KERNEL_DEFAULT_N 20
#include "kernel.h"

#define SIDE 250

static double here[SIDE][SIDE], there[SIDE][SIDE];

static void step(double from[SIDE][SIDE], double to[SIDE][SIDE]) {
    for (int i = 1; i < SIDE - 1; i++)
        for (int j = 1; j < SIDE - 1; j++)
            to[i][j] =
                0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] + from[i + 1][j] + from[i - 1][j]);
}

static uint64_t kernel(uint32_t n) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            here[i][j] = (double)i * (j + 2) / SIDE;
            there[i][j] = (double)(random_u64() >> 40) / 16777216.0;
        }
    for (uint32_t round = 0; round < n; round++) {
        step(here, there);
        step(there, here);
    }
    uint64_t sum = MIX_START;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            sum = mix_f64(sum, here[i][j]);
    return sum;
}
