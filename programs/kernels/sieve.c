/* The sieve of Eratosthenes over a byte array: loads, stores and short loops. A round sieves one million. */
#define KERNEL_NAME "sieve"
#define KERNEL_DEFAULT_N 20
#include "kernel.h"

#define LIMIT 1000000

static uint8_t composite[LIMIT];

static uint32_t count_primes(uint32_t limit) {
    memset(composite, 0, limit);
    uint32_t count = 0;
    for (uint32_t i = 2; i < limit; i++) {
        if (composite[i])
            continue;
        count++;
        for (uint64_t j = (uint64_t)i * i; j < limit; j += i)
            composite[j] = 1;
    }
    return count;
}

static uint64_t kernel(uint32_t n) {
    uint64_t sum = MIX_START;
    for (uint32_t round = 0; round < n; round++)
        sum = mix(sum, count_primes(LIMIT - round % LIMIT));
    return sum;
}
