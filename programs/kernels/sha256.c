/* SHA-256 (FIPS 180-4): rotations and 32-bit additions in one long loop body. A round hashes 64 KiB; each round's input
 * starts with the digest of the round before it. */
#define KERNEL_NAME "sha256"
#define KERNEL_DEFAULT_N 100
#include "kernel.h"

#define INPUT_BYTES 65536

static uint32_t round_constants[64];
static uint32_t start[8];
static uint8_t input[INPUT_BYTES + 64];

static uint32_t rotate_right(uint32_t x, int by) { return x >> by | x << (32 - by); }

/* The first 32 bits of the fraction of a number's square or cube root, in exact integer arithmetic: the largest x with
 * x^power <= prime * 2^(32 * power), of which the low 32 bits are kept. Bit by bit, so that no constant is typed in. */
static uint32_t root_fraction(uint32_t prime, int power) {
    unsigned __int128 goal = (unsigned __int128)prime << (32 * power);
    uint64_t x = 0;
    for (int bit = 36; bit >= 0; bit--) {
        uint64_t tried = x | (uint64_t)1 << bit;
        unsigned __int128 value = (unsigned __int128)tried * tried;
        if (power == 3)
            value *= tried;
        if (value <= goal)
            x = tried;
    }
    return (uint32_t)x;
}

static void find_constants(void) {
    uint32_t found = 0;
    for (uint32_t candidate = 2; found < 64; candidate++) {
        int prime = 1;
        for (uint32_t divisor = 2; divisor * divisor <= candidate; divisor++)
            prime = prime && candidate % divisor;
        if (!prime)
            continue;
        if (found < 8)
            start[found] = root_fraction(candidate, 2);
        round_constants[found++] = root_fraction(candidate, 3);
    }
}

static void compress(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 |
               block[4 * t + 3];
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotate_right(w[t - 15], 7) ^ rotate_right(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate_right(w[t - 2], 17) ^ rotate_right(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
        uint32_t big1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
        uint32_t t1 = h + big1 + ((e & f) ^ (~e & g)) + round_constants[t] + w[t];
        uint32_t big0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
        uint32_t t2 = big0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static void sha256(const uint8_t *message, uint32_t bytes, uint8_t *tail, uint32_t digest[8]) {
    memcpy(digest, start, sizeof start);
    uint32_t whole = bytes / 64 * 64;
    for (uint32_t at = 0; at < whole; at += 64)
        compress(digest, message + at);
    memset(tail, 0, 128);
    memcpy(tail, message + whole, bytes - whole);
    tail[bytes - whole] = 0x80;
    uint32_t tail_bytes = bytes - whole < 56 ? 64 : 128;
    uint64_t bits = (uint64_t)bytes * 8;
    for (int i = 0; i < 8; i++)
        tail[tail_bytes - 1 - i] = (uint8_t)(bits >> (8 * i));
    for (uint32_t at = 0; at < tail_bytes; at += 64)
        compress(digest, tail + at);
}

static uint64_t kernel(uint32_t n) {
    uint8_t tail[128];
    uint32_t digest[8];
    find_constants();
    /* The standard's own example, so that a wrong engine is told from a wrong program. */
    sha256((const uint8_t *)"abc", 3, tail, digest);
    if (digest[0] != 0xba7816bf || digest[7] != 0xf20015ad)
        exit(fail("sha256: the digest of \"abc\" is wrong\n"));
    for (uint32_t i = 0; i < INPUT_BYTES; i++)
        input[i] = (uint8_t)random_u64();
    for (uint32_t round = 0; round < n; round++) {
        sha256(input, INPUT_BYTES - round % 64, tail, digest);
        memcpy(input, digest, sizeof digest);
    }
    uint64_t sum = MIX_START;
    for (int i = 0; i < 8; i++)
        sum = mix(sum, digest[i]);
    return sum;
}
