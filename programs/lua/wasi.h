/* Included ahead of every file of Lua: what Lua wants from its platform, in terms of WASI preview 1.
 *
 * Lua raises errors (and yields coroutines) with longjmp, which needs stack unwinding. WebAssembly without its exception
 * handling proposal has none, so the module is built for Binaryen's Asyncify: a throw starts an unwinding, in which
 * every function returns to its caller at once, and the nearest try stops it. Nothing is ever rewound. The two
 * functions are in unwind.c, a file of its own, so that they are never inlined into code that Asyncify rewrites. */
#ifndef LUA_WASI_H
#define LUA_WASI_H

struct lua_State;
void lua_wasi_try(void (*body)(struct lua_State *, void *), struct lua_State *L, void *ud);
void lua_wasi_throw(void);

/* `f` and `ud` are parameters of the one function that has a try, luaD_rawrunprotected. */
#define LUAI_THROW(L, c) lua_wasi_throw()
#define LUAI_TRY(L, c, a) lua_wasi_try(f, L, ud)
#define luai_jmpbuf char

/* No processes and no temporary files in WASI (tmpfile itself is in driver.c). */
#define l_system(command) ((command) == NULL ? 0 : -1)
#define LUA_TMPNAMBUFSIZE 1
#define lua_tmpnam(buffer, failed) { (void)(buffer); failed = 1; }

#endif
