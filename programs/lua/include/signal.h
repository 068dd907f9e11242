/* All that Lua uses of this header. */
#ifndef LUA_WASI_SIGNAL_H
#define LUA_WASI_SIGNAL_H
typedef int sig_atomic_t;
#endif
