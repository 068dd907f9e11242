/* The Mandelbrot set: a floating-point loop whose trip count is the result. A round draws 128 x 128 points at a
 * magnification of its own. */
#define KERNEL_NAME "mandelbrot"
#define KERNEL_DEFAULT_N 10
#include "kernel.h"

#define SIDE 128
#define STEPS_MAX 200

static uint32_t escape_steps(double cx, double cy) {
    double x = 0, y = 0;
    uint32_t steps = 0;
    while (steps < STEPS_MAX && x * x + y * y <= 4.0) {
        double next = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = next;
        steps++;
    }
    return steps;
}

static uint64_t kernel(uint32_t n) {
    uint64_t sum = MIX_START;
    double width = 3.0;
    for (uint32_t round = 0; round < n; round++) {
        for (int row = 0; row < SIDE; row++)
            for (int column = 0; column < SIDE; column++)
                sum = mix(sum, escape_steps(-0.7436 + width * (column - SIDE / 2) / SIDE,
                                            0.1318 + width * (row - SIDE / 2) / SIDE));
        width *= 0.875;
    }
    return sum;
}
