import assert from "node:assert/strict";
import test from "node:test";
import { Terminal, type Line } from "../src/terminal.ts";

const text = (line: Line | undefined) => (line ?? []).map((piece) => piece.text).join("");

test("colours become class names and nothing else", () => {
  const [line] = new Terminal().feed("\x1b[1;31mred\x1b[0m plain\n");
  assert.deepEqual(line, [
    { text: "red", style: "ink-red bold" },
    { text: " plain", style: "" },
  ]);
});

test("a carriage return begins its line anew, also at the end of a piece", () => {
  const terminal = new Terminal();
  assert.deepEqual(terminal.feed("10%\r"), []);
  assert.equal(text(terminal.feed("50%\r100%\r\n")[0]), "100%");
});

test("every other escape, control character and bidi mark is shown", () => {
  const [line] = new Terminal().feed("a\x1b]52;c;AAAA\x07\x1b[2J\u202eb\n");
  assert.equal(text(line), "a⟨ESC⟩]52;c;AAAA⟨U+0007⟩⟨ESC⟩[2J⟨U+202E⟩b");
});

test("an escape that is cut between two pieces is still one escape", () => {
  const terminal = new Terminal();
  terminal.feed("\x1b[3");
  const [line] = terminal.feed("2mgreen\n");
  assert.deepEqual(line, [{ text: "green", style: "ink-green" }]);
});

test("a line without an end is bounded", () => {
  const terminal = new Terminal();
  for (let i = 0; i < 100; i++) terminal.feed("x".repeat(10_000));
  assert.ok(text(terminal.open()).length <= 20_001);
});

test("parameters of larger palettes do not spill into the text's own", () => {
  const [line] = new Terminal().feed("\x1b[38;5;31mx\x1b[48;2;1;31;34my\n");
  assert.deepEqual(line, [{ text: "xy", style: "" }]);
});
