/* Electric and magnetic fields in a plane by finite differences (FDTD): three grids of doubles, each made from its
 * neighbours in the others. A round is one step over 200 x 240 cells. */
#define KERNEL_NAME "fdtd2d"
#define KERNEL_DEFAULT_N 20
#include "kernel.h"

#define ROWS 200
#define COLUMNS 240

static double ex[ROWS][COLUMNS], ey[ROWS][COLUMNS], hz[ROWS][COLUMNS];

static void step(double source) {
    for (int j = 0; j < COLUMNS; j++)
        ey[0][j] = source;
    for (int i = 1; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            ey[i][j] -= 0.5 * (hz[i][j] - hz[i - 1][j]);
    for (int i = 0; i < ROWS; i++)
        for (int j = 1; j < COLUMNS; j++)
            ex[i][j] -= 0.5 * (hz[i][j] - hz[i][j - 1]);
    for (int i = 0; i < ROWS - 1; i++)
        for (int j = 0; j < COLUMNS - 1; j++)
            hz[i][j] -= 0.7 * (ex[i][j + 1] - ex[i][j] + ey[i + 1][j] - ey[i][j]);
}

static uint64_t kernel(uint32_t n) {
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            ex[i][j] = (double)i * (j + 1) / ROWS;
            ey[i][j] = (double)i * (j + 2) / COLUMNS;
            hz[i][j] = (double)(random_u64() >> 40) / 16777216.0;
        }
    for (uint32_t round = 0; round < n; round++)
        step((double)(round % 64));
    uint64_t sum = MIX_START;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            sum = mix_f64(sum, hz[i][j]);
    return sum;
}
