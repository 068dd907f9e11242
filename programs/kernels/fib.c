/* The naive recursive Fibonacci function: nothing but calls. A round computes fib(30). */
#define KERNEL_NAME "fib"
#define KERNEL_DEFAULT_N 5
#include "kernel.h"

static __attribute__((noinline)) uint32_t fib(uint32_t n) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t kernel(uint32_t n) {
    uint64_t sum = MIX_START;
    for (uint32_t round = 0; round < n; round++) {
        volatile uint32_t at = 30;
        sum = mix(sum, fib(at) + round);
    }
    return sum;
}
