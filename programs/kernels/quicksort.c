/* Quicksort and a heap sort through comparison functions: recursion, data-dependent branches and indirect calls. A round
 * sorts 20,000 fresh numbers each way and then through qsort(3). */
#define KERNEL_NAME "quicksort"
#define KERNEL_DEFAULT_N 10
#include "kernel.h"

#define ITEMS 20000

typedef int (*compare_fn)(const void *, const void *);

static uint32_t original[ITEMS], items[ITEMS];

static int ascending(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static int descending(const void *left, const void *right) { return ascending(right, left); }

static int by_low_bits(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left & 0xffff, b = *(const uint32_t *)right & 0xffff;
    return a == b ? ascending(left, right) : (a > b) - (a < b);
}

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t held = *a;
    *a = *b;
    *b = held;
}

static void quicksort(int32_t low, int32_t high, compare_fn compare) {
    while (low < high) {
        uint32_t pivot = items[low + (high - low) / 2];
        int32_t i = low, j = high;
        while (i <= j) {
            while (compare(&items[i], &pivot) < 0)
                i++;
            while (compare(&items[j], &pivot) > 0)
                j--;
            if (i <= j)
                swap(&items[i++], &items[j--]);
        }
        quicksort(low, j, compare);
        low = i;
    }
}

static void sift_down(uint32_t root, uint32_t count, compare_fn compare) {
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(&items[child], &items[child + 1]) < 0)
            child++;
        if (compare(&items[root], &items[child]) >= 0)
            return;
        swap(&items[root], &items[child]);
    }
}

static void heapsort_items(compare_fn compare) {
    for (uint32_t root = ITEMS / 2; root-- > 0;)
        sift_down(root, ITEMS, compare);
    for (uint32_t end = ITEMS; end-- > 1;) {
        swap(&items[0], &items[end]);
        sift_down(0, end, compare);
    }
}

static uint64_t kernel(uint32_t n) {
    static compare_fn const orders[] = {ascending, descending, by_low_bits};
    uint64_t sum = MIX_START;
    for (uint32_t round = 0; round < n; round++) {
        compare_fn compare = orders[random_u64() % 3];
        for (uint32_t i = 0; i < ITEMS; i++)
            original[i] = (uint32_t)(random_u64() >> 32);
        for (int way = 0; way < 3; way++) {
            memcpy(items, original, sizeof items);
            if (way == 0)
                quicksort(0, ITEMS - 1, compare);
            else if (way == 1)
                heapsort_items(compare);
            else
                qsort(items, ITEMS, sizeof items[0], compare);
            for (uint32_t i = 0; i < ITEMS; i += 97)
                sum = mix(sum, items[i]);
        }
    }
    return sum;
}
