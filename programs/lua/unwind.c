/* Lua's throw and catch on top of Asyncify; see wasi.h. */
#include "wasi.h"

#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("asyncify"), import_name(name)))

IMPORT("start_unwind") void asyncify_start_unwind(void *buffer);
IMPORT("stop_unwind") void asyncify_stop_unwind(void);

/* Where Asyncify saves the locals of the functions it leaves. They are never read back, but it writes them. Lua allows
 * 200 nested C calls, whose locals fit many times over. */
static uint8_t saved_locals[256 * 1024];

static struct {
    void *at, *end;
} buffer;

static int unwinding;

__asm__(".globaltype __stack_pointer, i32\n");

static inline void *stack_pointer(void) {
    void *pointer;
    __asm__ volatile("global.get __stack_pointer\nlocal.set %0" : "=r"(pointer));
    return pointer;
}

static inline void set_stack_pointer(void *pointer) {
    __asm__ volatile("local.get %0\nglobal.set __stack_pointer" : : "r"(pointer));
}

void lua_wasi_throw(void) {
    buffer.at = saved_locals;
    buffer.end = saved_locals + sizeof saved_locals;
    unwinding = 1;
    asyncify_start_unwind(&buffer);
}

/* Asyncify leaves functions alone that call stop_unwind: an unwinding ends here. */
void lua_wasi_try(void (*body)(struct lua_State *, void *), struct lua_State *L, void *ud) {
    void *pointer = stack_pointer();
    body(L, ud);
    if (unwinding) {
        unwinding = 0;
        asyncify_stop_unwind();
        set_stack_pointer(pointer);
    }
}
