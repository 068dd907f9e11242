/* What every kernel shares: its argument, its random numbers and its output.
 *
 * A kernel is one C file with `uint64_t kernel(uint32_t n)`: it does n rounds of its work and returns a checksum that
 * depends on all of it. Output goes through write(2), not printf, so that the small modules stay small and show the
 * work instead of a formatting library. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t kernel(uint32_t n);

/* Marsaglia's xorshift64*: the same numbers on every machine. */
static uint64_t random_state = 0x9e3779b97f4a7c15u;

static inline uint64_t random_u64(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1du;
}

/* One step of a 64-bit FNV-1a over a whole word. */
static inline uint64_t mix(uint64_t sum, uint64_t word) {
    for (int i = 0; i < 8; i++, word >>= 8)
        sum = (sum ^ (word & 0xff)) * 0x100000001b3u;
    return sum;
}

#define MIX_START 0xcbf29ce484222325u

static inline uint64_t mix_f64(uint64_t sum, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return mix(sum, bits);
}

static int fail(const char *why) {
    (void)!write(2, why, strlen(why));
    return 2;
}

int main(int argc, char **argv) {
    uint32_t n = KERNEL_DEFAULT_N;
    if (argc > 1) {
        n = 0;
        for (const char *digit = argv[1]; *digit; digit++) {
            if (*digit < '0' || *digit > '9' || n > 400000000)
                return fail("the argument must be a number of rounds\n");
            n = n * 10 + (uint32_t)(*digit - '0');
        }
    }
    uint64_t sum = kernel(n);
    char line[128];
    size_t at = strlen(KERNEL_NAME);
    memcpy(line, KERNEL_NAME, at);
    line[at++] = ' ';
    char digits[10];
    int count = 0;
    for (uint32_t rest = n; count == 0 || rest; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count)
        line[at++] = digits[--count];
    line[at++] = ' ';
    for (int shift = 60; shift >= 0; shift -= 4)
        line[at++] = "0123456789abcdef"[sum >> shift & 15];
    line[at++] = '\n';
    return write(1, line, at) == (ssize_t)at ? 0 : 1;
}

#endif
