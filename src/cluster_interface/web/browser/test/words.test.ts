import assert from "node:assert/strict";
import test from "node:test";
import { withoutOutputs } from "../src/files.ts";
import { join, split } from "../src/shellwords.ts";
import { parseTable } from "../src/table.ts";

test("arguments are split as a shell splits them, without expanding anything", () => {
  assert.deepEqual(split(`--name 'two words' "a \\"b\\"" c\\ d '' $(x)`), ["--name", "two words", 'a "b"', "c d", "", "$(x)"]);
});

test("an open quote is said in words", () => {
  assert.throws(() => split("a 'b"), /not closed/);
  assert.throws(() => split('a "b'), /not closed/);
});

test("what is joined is split into the same words again", () => {
  for (const words of [["a b", "it's", "", "$(touch x)", "--n=1"], ["\\", '"', "ü"]]) assert.deepEqual(split(join(words)), words);
});

test("a table keeps quoted separators, quotes and line breaks", () => {
  assert.deepEqual(parseTable('a,"b, c"\r\n"say ""hi""","two\nlines"\n', ",", 10), [
    ["a", "b, c"],
    ['say "hi"', "two\nlines"],
  ]);
});

test("a table is cut after so many rows", () => {
  assert.equal(parseTable("x\n".repeat(1000), ",", 7).length, 7);
});

test("a notebook is read without what its cells showed", () => {
  const cell = { cell_type: "code", source: ["import numpy"], metadata: {} };
  const text = JSON.stringify({ nbformat: 4, metadata: {}, cells: [{ ...cell, outputs: ["x".repeat(100)] }] });
  assert.deepEqual(JSON.parse(withoutOutputs(text) ?? ""), { nbformat: 4, metadata: {}, cells: [{ ...cell, outputs: [], attachments: {} }] });
  assert.equal(withoutOutputs("{}"), null);
  assert.equal(withoutOutputs("nothing"), null);
});
