import assert from "node:assert/strict";
import test from "node:test";
import { isOpen, isUneven, put, read } from "../src/commandline.ts";
import type { Option } from "../src/wire.ts";

const option = (name: string, more: Partial<Option> = {}): Option => ({
  name, positional: !name.startsWith("-"), required: false, flag: false, default: null, choices: [], help: "", kind: "text",
  many: false, count: 0, joined: false, repeat: false, aliases: [], command: "", written: "", ...more,
});
const table = option("table", { required: true });
const rounds = option("--rounds", { aliases: ["-n"] });
const plot = option("--plot", { flag: true });
const names = option("--names", { many: true });
const tag = option("--tag", { many: true, repeat: true });
const files = option("files", { many: true, required: true });
const goal = option("goal", { required: true });
const simple = [table, rounds, plot, names, tag];

const told = (words: string[], options: Option[]) => Object.fromEntries([...read(words, options).values].map(([one, values]) => [one.name, values]));

test("values are found however they are written", () => {
  assert.deepEqual(told(["-n", "3", "--plot", "a b"], simple), { "--rounds": ["3"], "--plot": ["--plot"], table: ["a b"] });
  assert.deepEqual(told(["t", "--rounds=3", "--names", "x", "y", "--tag", "1", "--tag=2"], simple), { table: ["t"], "--rounds": ["3"], "--names": ["x", "y"], "--tag": ["1", "2"] });
  assert.deepEqual(told(["--names", "x", "--", "--plot"], simple), { "--names": ["x"], table: ["--plot"] });
  assert.deepEqual(told(["-1.5"], simple), { table: ["-1.5"] });
});

test("a value that is part of its word is written so", () => {
  const level = option("--level", { joined: true, aliases: ["-l"] });
  assert.deepEqual(put(["a.csv"], [level, table], level, ["3"]), ["--level=3", "a.csv"]);
  assert.deepEqual(put(["--level=3"], [level], level, ["my own"]), ["--level=my own"]);
});

test("many places leave enough for those after them", () => {
  assert.deepEqual(told(["a", "b", "c"], [files, goal]), { files: ["a", "b"], goal: ["c"] });
  assert.deepEqual(told(["a"], [files, goal]), { files: ["a"] });
});

test("an option of two values takes two, and no more", () => {
  const [span, pair] = [option("--span", { many: true, count: 2 }), option("--pair", { many: true, repeat: true, count: 2 })];
  const both = [table, span, pair];
  assert.deepEqual(told(["--span", "1", "2", "t"], both), { "--span": ["1", "2"], table: ["t"] });
  assert.deepEqual(put(["t"], both, span, ["1", "2"]), ["--span", "1", "2", "t"]);
  assert.deepEqual(put(["t"], both, pair, ["a", "b", "c", "d"]), ["--pair", "a", "b", "--pair", "c", "d", "t"]);
  assert.deepEqual(told(["--pair", "a", "b", "--pair", "c", "d"], both), { "--pair": ["a", "b", "c", "d"] });
  assert.deepEqual([["1"], ["1", "2"], ["1", "2", "3"]].map((values) => isUneven(span, values)), [true, false, true]);
  assert.deepEqual([[], ["1", "2", "3"], ["1", "2", "3", "4"]].map((values) => isUneven(pair, values)), [false, true, false]);
  assert.deepEqual(told(["a", "b", "c"], [option("point", { many: true, count: 2 }), goal]), { point: ["a", "b"], goal: ["c"] });
});

test("a value is put where it belongs, and what is not known stays", () => {
  assert.deepEqual(put(["--odd", "t"], simple, rounds, ["7"]), ["--odd", "--rounds", "7", "t"]);
  assert.deepEqual(put(["--rounds", "7", "t"], simple, rounds, ["-9"]), ["--rounds", "-9", "t"]);
  assert.deepEqual(put(["t", "-n", "7"], simple, rounds, []), ["t"]);
  assert.deepEqual(put(["t"], simple, rounds, ["--x"]), ["--rounds=--x", "t"]);
  assert.deepEqual(put(["t"], simple, names, ["x", "y"]), ["t", "--names", "x", "y"]);
  assert.deepEqual(put(["--names", "x"], simple, table, ["t"]), ["t", "--names", "x"]);
  assert.deepEqual(put(["t"], simple, tag, ["1", "2"]), ["--tag", "1", "--tag", "2", "t"]);
  assert.deepEqual(put(["--plot", "t"], simple, plot, []), ["t"]);
  assert.deepEqual(put(["--", "-t"], simple, table, ["$(x)"]), ["--", "$(x)"]);
});

test("what is before it and not given yet stands there by its name", () => {
  const two = [table, goal, rounds];
  const words = put([], two, goal, ["g"]);
  assert.deepEqual(words, ["TABLE", "g"]);
  assert.ok(isOpen(table, read(words, two).values.get(table)));
  assert.deepEqual(put(["t", "g"], two, table, []), ["TABLE", "g"]);
  assert.deepEqual(put(["t", "g"], two, goal, []), ["t"]);
});

const command = option("command", { required: true, choices: ["fit", "plot"] });
const verbose = option("--verbose", { flag: true });
const [fitRounds, plotRounds, source] = [option("--rounds", { command: "fit" }), option("--rounds", { command: "plot" }), option("source", { command: "fit" })];
const group = [verbose, command, fitRounds, plotRounds, source];

test("a subcommand has options of its own", () => {
  const found = read(["--verbose", "plot", "--rounds", "3"], group);
  assert.equal(found.command, "plot");
  assert.deepEqual(found.values.get(plotRounds), ["3"]);
  assert.equal(found.values.get(fitRounds), undefined);
  assert.deepEqual(put(["fit"], group, verbose, ["--verbose"]), ["--verbose", "fit"]);
  assert.deepEqual(put(["fit", "s"], group, fitRounds, ["3"]), ["fit", "--rounds", "3", "s"]);
  assert.deepEqual(put(["fit", "--rounds", "3"], group, source, ["s"]), ["fit", "s", "--rounds", "3"]);
  assert.deepEqual(put(["fit", "s"], group, command, ["plot"]), ["plot", "s"]);
});

test("a subcommand may have subcommands", () => {
  const remote = option("command", { required: true, choices: ["remote", "status"] });
  const what = option("what", { command: "remote", required: true, choices: ["add", "drop"] });
  const quiet = option("--quiet", { command: "remote", flag: true });
  const [address, force, plain] = [option("url", { command: "remote add" }), option("--force", { command: "remote add", flag: true }), option("--force", { command: "remote drop", flag: true })];
  const all = [remote, what, quiet, address, force, plain];
  assert.equal(read(["remote", "add", "u"], all).command, "remote add");
  assert.deepEqual(told(["remote", "--quiet", "add", "--force", "u"], all), { command: ["remote"], "--quiet": ["--quiet"], what: ["add"], "--force": ["--force"], url: ["u"] });
  assert.deepEqual(put(["remote", "add", "u"], all, quiet, ["--quiet"]), ["remote", "--quiet", "add", "u"]);
  assert.deepEqual(put(["remote", "add", "u"], all, force, ["--force"]), ["remote", "add", "--force", "u"]);
  assert.deepEqual(put(["remote", "add"], all, address, ["u"]), ["remote", "add", "u"]);
  assert.equal(read(["remote", "drop", "--force"], all).values.get(force), undefined);
});

test("whatever is put is read again, and the rest is as it was", () => {
  const values = ["a", "a b", "-x", "--", "$(touch x)", "a\nb", "'", ""];
  for (const value of values.filter((one) => one !== "--")) {
    for (const target of [rounds, tag, table]) {
      if (target === table && value === "-x") continue; // only `--` could say that this is no option
      const words = put(["--odd", "--names", "n"], simple, target, [value]);
      assert.deepEqual(read(words, simple).values.get(target), [value], JSON.stringify(words));
      assert.deepEqual(read(words, simple).values.get(names), ["n"], JSON.stringify(words));
    }
  }
});
