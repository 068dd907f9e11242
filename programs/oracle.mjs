// Runs a WebAssembly program in Node's WASI: the engine that says what `upshift run` must print.
//
// node --no-warnings oracle.mjs [--dir HOST::GUEST] [--env K=V] [--preload NAME=FILE] FILE [ARGS...]
//
// The flags mean what they mean for `upshift run`, but modules are binary only.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { argv, exit } from "node:process";
import { WASI } from "node:wasi";

const [preopens, env, preloads, program] = [{}, {}, [], []];

const split = (text, separator) => {
  const at = text.indexOf(separator);
  if (at < 0) throw new Error(`${text} has no ${separator}`);
  return [text.slice(0, at), text.slice(at + separator.length)];
};

const flags = {
  "--dir": (value) => {
    const [host, guest] = split(value, "::");
    preopens[guest] = host;
  },
  "--env": (value) => Object.assign(env, Object.fromEntries([split(value, "=")])),
  "--preload": (value) => preloads.push(split(value, "=")),
};

for (let at = 2; at < argv.length; at++) {
  const flag = program.length === 0 && flags[argv[at]];
  if (flag) flag(argv[++at]);
  else program.push(argv[at]);
}

const [file, ...args] = program;
const wasi = new WASI({ version: "preview1", args: [basename(file), ...args], env, preopens, returnOnExit: true });
const imports = { wasi_snapshot_preview1: wasi.wasiImport };
const instantiate = (path) => new WebAssembly.Instance(new WebAssembly.Module(readFileSync(path)), imports);

for (const [name, path] of preloads) imports[name] = instantiate(path).exports;
exit(wasi.start(instantiate(file)) ?? 0);
