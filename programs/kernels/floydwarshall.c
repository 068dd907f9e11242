/* All shortest paths of a graph by Floyd and Warshall: integers, a minimum in the innermost loop. A round is a graph of
 * 120 nodes. */
#define KERNEL_NAME "floydwarshall"
#define KERNEL_DEFAULT_N 4
#include "kernel.h"

#define NODES 120

static int32_t way[NODES][NODES];

static void all_ways(void) {
    for (int k = 0; k < NODES; k++)
        for (int i = 0; i < NODES; i++)
            for (int j = 0; j < NODES; j++) {
                int32_t through = way[i][k] + way[k][j];
                way[i][j] = through < way[i][j] ? through : way[i][j];
            }
}

static uint64_t kernel(uint32_t n) {
    uint64_t sum = MIX_START;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < NODES; i++)
            for (int j = 0; j < NODES; j++)
                way[i][j] = i == j ? 0 : (int32_t)(random_u64() >> 44);
        all_ways();
        for (int i = 0; i < NODES; i++)
            sum = mix(sum, (uint64_t)way[i][(i * 7 + (int)round) % NODES]);
    }
    return sum;
}
