// Compiles a WebAssembly module in Node and prints how many seconds that took.
//
// node [V8's flags] compile.mjs FILE
import { readFileSync } from "node:fs";
import { argv } from "node:process";

const binary = readFileSync(argv[2]);
const start = process.hrtime.bigint();
new WebAssembly.Module(binary);
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
console.log(JSON.stringify({ seconds }));
