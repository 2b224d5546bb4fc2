// A log's text as lines of coloured pieces. Colours (SGR) are kept; every other escape, control character and
// bidi mark is shown, never obeyed. A carriage return begins its line anew, as progress bars expect.
import { code } from "./dom.ts";

export interface Piece {
  text: string;
  style: string; // class names, "" for plain text
}

export type Line = Piece[];

const LONGEST_LINE = 20_000; // characters of one line on the page
const SGR = /^\x1b\[([0-9;:]{0,64})m/;
const UNFINISHED = /\x1b(\[[0-9;:]{0,64})?$/;
const SPECIAL = /[\x00-\x1f\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/u;
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

export class Terminal {
  private rest = "";
  private line: Line = [];
  private length = 0;
  private bold = false;
  private colour = "";

  /** Take more text and return the lines it finishes; what is begun stays in `open()`. */
  feed(text: string): Line[] {
    let input = this.rest + text;
    this.rest = UNFINISHED.exec(input)?.[0] ?? (input.endsWith("\r") ? "\r" : "");
    input = input.slice(0, input.length - this.rest.length);
    const lines: Line[] = [];
    let at = 0;
    while (at < input.length) at += this.step(input, at, lines);
    return lines;
  }

  open(): Line {
    return this.line;
  }

  private step(input: string, at: number, lines: Line[]): number {
    const char = String.fromCodePoint(input.codePointAt(at) ?? 0);
    if (char === "\n") {
      lines.push(this.take());
      return 1;
    }
    if (char === "\r") {
      if (input[at + 1] === "\n") return 1;
      this.take();
      return 1;
    }
    if (char === "\x1b") {
      const found = SGR.exec(input.slice(at, at + 70));
      if (found) {
        this.paint(found[1] ?? "");
        return found[0].length;
      }
    }
    if (char !== "\t" && SPECIAL.test(char)) {
      this.add(char === "\x1b" ? "⟨ESC⟩" : code(char), "mark");
      return char.length;
    }
    const end = nextSpecial(input, at);
    this.add(input.slice(at, end), [this.colour, this.bold ? "bold" : ""].filter(Boolean).join(" "));
    return end - at;
  }

  private add(text: string, style: string): void {
    const room = LONGEST_LINE - this.length;
    if (room <= 0) return;
    this.length += text.length;
    const shown = text.length > room ? `${text.slice(0, room)}…` : text;
    const before = this.line.at(-1);
    if (before && before.style === style) before.text += shown;
    else this.line.push({ text: shown, style });
  }

  private take(): Line {
    const line = this.line;
    this.line = [];
    this.length = 0;
    return line;
  }

  /** Select Graphic Rendition (ECMA-48, 8.3.117): the eight colours, their bright forms, and bold. */
  private paint(parameters: string): void {
    const numbers = parameters.split(/[;:]/).map(Number);
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i] ?? 0;
      if (number === 0) [this.bold, this.colour] = [false, ""];
      else if (number === 1) this.bold = true;
      else if (number === 22) this.bold = false;
      else if (number === 39) this.colour = "";
      else if (number === 38 || number === 48) i += numbers[i + 1] === 5 ? 2 : 4;
      else if (number >= 30 && number <= 37) this.colour = `ink-${COLOURS[number - 30]}`;
      else if (number >= 90 && number <= 97) this.colour = `ink-${COLOURS[number - 90]}`;
    }
  }
}

function nextSpecial(input: string, at: number): number {
  for (let end = at; end < input.length; end++) {
    const char = input[end] ?? "";
    if (char !== "\t" && SPECIAL.test(char)) return end;
  }
  return input.length;
}
