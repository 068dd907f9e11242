/* A small stack machine that interprets a loop: a `switch` in a loop (br_table) as every interpreter has it. A round
 * interprets the machine's own count from 20,000 down to zero, mixing as it goes. */
#define KERNEL_NAME "dispatch"
#define KERNEL_DEFAULT_N 20
#include "kernel.h"

enum op { PUSH, LOAD, STORE, ADD, SUB, MUL, XOR, SHR, JUMP_NONZERO, JUMP_LESS, HALT };

static const int32_t program[] = {
    PUSH, 20000, STORE, 0,                                  /*  0: counter = 20000 */
    PUSH, 7, STORE, 1,                                      /*  4: sum = 7 */
    LOAD, 1, PUSH, 31, MUL, LOAD, 0, ADD, STORE, 1,         /*  8: sum = sum * 31 + counter */
    LOAD, 1, PUSH, 16, SHR, LOAD, 1, XOR, STORE, 1,         /* 18: sum ^= sum >> 16 */
    LOAD, 0, PUSH, 100, JUMP_LESS, 41,                      /* 28: if counter < 100 skip the next */
    LOAD, 1, LOAD, 2, XOR, STORE, 2,                        /* 34: other ^= sum */
    LOAD, 0, PUSH, 1, SUB, STORE, 0,                        /* 41: counter -= 1 */
    LOAD, 0, JUMP_NONZERO, 8,                               /* 48: again */
    HALT,
};

static uint32_t interpret(uint32_t seed) {
    uint32_t stack[256], slots[4] = {0, 0, seed, 0};
    uint32_t sp = 0, pc = 0;
    for (;;) {
        switch (program[pc++]) {
        case PUSH: stack[sp++ & 255] = (uint32_t)program[pc++]; break;
        case LOAD: stack[sp++ & 255] = slots[program[pc++]]; break;
        case STORE: slots[program[pc++]] = stack[--sp & 255]; break;
        case ADD: sp--; stack[(sp - 1) & 255] += stack[sp & 255]; break;
        case SUB: sp--; stack[(sp - 1) & 255] -= stack[sp & 255]; break;
        case MUL: sp--; stack[(sp - 1) & 255] *= stack[sp & 255]; break;
        case XOR: sp--; stack[(sp - 1) & 255] ^= stack[sp & 255]; break;
        case SHR: sp--; stack[(sp - 1) & 255] >>= stack[sp & 255] & 31; break;
        case JUMP_NONZERO: pc = stack[--sp & 255] ? (uint32_t)program[pc] : pc + 1; break;
        case JUMP_LESS: sp -= 2; pc = stack[sp & 255] < stack[(sp + 1) & 255] ? (uint32_t)program[pc] : pc + 1; break;
        case HALT: return slots[1] ^ slots[2];
        }
    }
}

static uint64_t kernel(uint32_t n) {
    uint64_t sum = MIX_START;
    for (uint32_t round = 0; round < n; round++)
        sum = mix(sum, interpret((uint32_t)sum));
    return sum;
}
