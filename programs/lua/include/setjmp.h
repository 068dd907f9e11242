/* Lua includes this header but, with the definitions in wasi.h, uses nothing of it. */
