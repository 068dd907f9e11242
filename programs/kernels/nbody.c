/* Gravitation among five bodies, by the leap-frog method: long floating-point dependency chains, square roots and
 * divisions. A round is 1,000 steps. The bodies are made up; only addition, multiplication, division and square root
 * are used, which IEEE 754 defines to the last bit. */
#define KERNEL_NAME "nbody"
#define KERNEL_DEFAULT_N 100
#include "kernel.h"

#define BODIES 5

static struct body {
    double at[3], speed[3], mass;
} bodies[BODIES];

static void place(void) {
    for (int i = 0; i < BODIES; i++) {
        bodies[i].mass = i ? 0.001 / i : 40.0;
        for (int axis = 0; axis < 3; axis++) {
            double unit = (double)(random_u64() >> 40) / 16777216.0 - 0.5;
            bodies[i].at[axis] = i ? (i + 3) * 4 * (axis == i % 3 ? 1.0 : unit) : 0;
            bodies[i].speed[axis] = i ? unit : 0;
        }
    }
}

static void step(double dt) {
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            double d[3], squared = 0.01;
            for (int axis = 0; axis < 3; axis++) {
                d[axis] = bodies[i].at[axis] - bodies[j].at[axis];
                squared += d[axis] * d[axis];
            }
            double pull = dt / (squared * __builtin_sqrt(squared));
            for (int axis = 0; axis < 3; axis++) {
                bodies[i].speed[axis] -= d[axis] * bodies[j].mass * pull;
                bodies[j].speed[axis] += d[axis] * bodies[i].mass * pull;
            }
        }
    for (int i = 0; i < BODIES; i++)
        for (int axis = 0; axis < 3; axis++)
            bodies[i].at[axis] += dt * bodies[i].speed[axis];
}

static uint64_t kernel(uint32_t n) {
    place();
    for (uint32_t i = 0; i < n * 1000; i++)
        step(0.01);
    uint64_t sum = MIX_START;
    for (int i = 0; i < BODIES; i++)
        for (int axis = 0; axis < 3; axis++)
            sum = mix_f64(mix_f64(sum, bodies[i].at[axis]), bodies[i].speed[axis]);
    return sum;
}
