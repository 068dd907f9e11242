// Counts the words of standard input, or of the files named, and prints the most frequent.
//
//   upshift run examples/words.wasm < README.md
//   upshift run --dir . examples/words.wasm 5 README.md
//
// An optional first argument is how many to print. Built with Debian's clang-19, lld-19, wasi-libc,
// libclang-rt-19-dev-wasm32 and binaryen:
//
//   clang-19 --target=wasm32-wasi --sysroot=/usr -Os -c words.c
//   clang-19 --target=wasm32-wasi --sysroot=/usr -Wl,--strip-debug -o words.wasm words.o
//   wasm-opt -Os -g words.wasm -o words.wasm
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUCKETS = 1 << 12, WORD_MAX = 64 };

struct word {
    struct word *next;
    unsigned count;
    unsigned length;
    char text[];
};

static struct word *buckets[BUCKETS];
static unsigned long total, distinct;

static unsigned hash(const char *text, unsigned length) {
    unsigned h = 2166136261u;
    for (unsigned i = 0; i < length; i++) h = (h ^ (unsigned char)text[i]) * 16777619u;
    return h;
}

static void count(const char *text, unsigned length) {
    struct word **place = &buckets[hash(text, length) % BUCKETS];
    total++;
    for (struct word *w = *place; w; w = w->next)
        if (w->length == length && memcmp(w->text, text, length) == 0) {
            w->count++;
            return;
        }
    struct word *w = malloc(sizeof *w + length);
    if (!w) abort();
    w->next = *place;
    w->count = 1;
    w->length = length;
    memcpy(w->text, text, length);
    *place = w;
    distinct++;
}

static void read_words(int fd) {
    static char buffer[4096];
    char word[WORD_MAX];
    unsigned length = 0;
    long n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        for (long i = 0; i < n; i++) {
            unsigned char c = buffer[i];
            if (isalpha(c)) {
                if (length < WORD_MAX) word[length++] = tolower(c);
            } else if (length) {
                count(word, length);
                length = 0;
            }
        }
    if (length) count(word, length);
}

// Frequent words first, equally frequent ones by the alphabet.
static int before(const void *a, const void *b) {
    const struct word *x = *(struct word *const *)a, *y = *(struct word *const *)b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    unsigned length = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->text, y->text, length);
    return order ? order : (int)x->length - (int)y->length;
}

static char output[4096];
static unsigned output_length;

static void flush(void) {
    if (write(1, output, output_length) < 0) exit(1);
    output_length = 0;
}

static void put(const char *text, unsigned length) {
    if (output_length + length > sizeof output) flush();
    memcpy(output + output_length, text, length);
    output_length += length;
}

static void put_number(unsigned long number, unsigned width) {
    char digits[24];
    unsigned length = 0;
    do digits[sizeof digits - ++length] = '0' + number % 10;
    while (number /= 10);
    while (length < width) digits[sizeof digits - ++length] = ' ';
    put(digits + sizeof digits - length, length);
}

static void report(unsigned long shown) {
    struct word **all = malloc((distinct + 1) * sizeof *all);
    unsigned long n = 0;
    if (!all) abort();
    for (unsigned b = 0; b < BUCKETS; b++)
        for (struct word *w = buckets[b]; w; w = w->next) all[n++] = w;
    qsort(all, n, sizeof *all, before);
    put_number(total, 1);
    put(" words, ", 8);
    put_number(distinct, 1);
    put(" different\n", 11);
    for (unsigned long i = 0; i < n && i < shown; i++) {
        put_number(all[i]->count, 8);
        put("  ", 2);
        put(all[i]->text, all[i]->length);
        put("\n", 1);
    }
    flush();
}

int main(int argc, char **argv) {
    unsigned long shown = 10;
    int first = 1;
    if (argc > 1 && isdigit((unsigned char)argv[1][0])) {
        shown = strtoul(argv[1], 0, 10);
        first = 2;
    }
    if (first == argc) read_words(0);
    for (int i = first; i < argc; i++) {
        int fd = open(argv[i], O_RDONLY);
        if (fd < 0) {
            static const char message[] = "words: cannot open ";
            write(2, message, sizeof message - 1);
            write(2, argv[i], strlen(argv[i]));
            write(2, "\n", 1);
            return 1;
        }
        read_words(fd);
        close(fd);
    }
    report(shown);
    return 0;
}
