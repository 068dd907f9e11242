/* How a strand of RNA folds, by Nussinov: dynamic programming over a triangle of integers, with a maximum along a row and
 * a column. A round is a strand of 160 bases. */
#define KERNEL_NAME "nussinov"
#define KERNEL_DEFAULT_N 4
#include "kernel.h"

#define BASES 160

static int8_t base[BASES];
static int32_t best[BASES][BASES];

static inline int32_t larger(int32_t x, int32_t y) { return x > y ? x : y; }

static void fold(void) {
    for (int i = BASES - 1; i >= 0; i--)
        for (int j = i + 1; j < BASES; j++) {
            int32_t cell = best[i][j - 1];
            if (i + 1 < BASES) {
                cell = larger(cell, best[i + 1][j]);
                int32_t pair = i < j - 1 && base[i] + base[j] == 3;
                cell = larger(cell, best[i + 1][j - 1] + pair);
            }
            for (int k = i + 1; k < j; k++)
                cell = larger(cell, best[i][k] + best[k + 1][j]);
            best[i][j] = cell;
        }
}

static uint64_t kernel(uint32_t n) {
    uint64_t sum = MIX_START;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < BASES; i++)
            base[i] = (int8_t)(random_u64() >> 62);
        memset(best, 0, sizeof best);
        fold();
        for (int i = 0; i < BASES; i++)
            sum = mix(sum, (uint64_t)best[i][BASES - 1]);
    }
    return sum;
}
