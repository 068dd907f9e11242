/* What the corpus's clang compiles: some of everything that makes its passes work. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct node {
    struct node *left, *right;
    int32_t key;
};

static struct node *find(struct node *at, int32_t key) {
    while (at && at->key != key)
        at = key < at->key ? at->left : at->right;
    return at;
}

double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

uint32_t crc32(const uint8_t *bytes, size_t n) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

void add(float *restrict to, const float *restrict from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

static const char *name_of(int kind) {
    switch (kind) {
    case 0: return "zero";
    case 1: return "one";
    case 2: return "two";
    case 7: return "seven";
    default: return "many";
    }
}

int main(int argc, char **argv) {
    struct node leaf = {NULL, NULL, 3}, root = {&leaf, NULL, 5};
    printf("%s %d %08x\n", name_of(argc), find(&root, 3) == &leaf, crc32((const uint8_t *)argv[0], strlen(argv[0])));
    return 0;
}
