// The script's arguments: one line that a person writes, fields for its options in step with it, ready lines to take.
import { byId, make, say, visible } from "./dom.ts";
import { OptionForm } from "./options.ts";
import { join, split } from "./shellwords.ts";
import type { Proposal } from "./wire.ts";

const PLACES = /( -\S+( [^\s-]\S*)? \{\w+\})+$/; // what a sweep's parameters add to a command

export class ArgumentsForm {
  private readonly line = byId<HTMLTextAreaElement>("arguments");
  private readonly options: OptionForm;

  /** `changed` is called when the words are others; `pick` puts files into the job and says what they are called there. */
  constructor(
    private readonly changed: () => void,
    pick: (files: FileList) => string[],
  ) {
    const take = (words: string[]) => {
      this.line.value = join(words);
      this.tell();
    };
    this.options = new OptionForm(() => this.words(), take, pick);
    this.line.addEventListener("input", () => {
      this.options.fill();
      this.tell();
    });
  }

  /** The words; null where a quote is open, which is said. */
  words(): string[] | null {
    try {
      const words = split(this.line.value);
      say(byId("arguments-error"), "");
      return words;
    } catch (error) {
      say(byId("arguments-error"), (error as Error).message);
      return null;
    }
  }

  /** Show what was found for these words. */
  propose(proposal: Proposal, words: string[]): void {
    this.options.show(proposal.options);
    const whole = split(proposal.command.replace(PLACES, ""));
    const start = whole.slice(0, whole.length - words.length);
    const lines = proposal.suggestions.map(split).filter((line) => line.length > start.length && start.every((word, at) => line[at] === word));
    byId("suggestion-lines").replaceChildren(...lines.map((line) => this.ready(join(line.slice(start.length)))));
    this.explain();
  }

  private tell(): void {
    this.explain();
    this.changed();
  }

  /** What the script needs and the words do not give, as a sentence; empty where nothing is missing. */
  missing(): string {
    const words = this.words();
    const missing = words ? this.options.missing(words) : [];
    return missing.length ? `Still to be given: ${missing.join(", ")}.` : "";
  }

  private explain(): void {
    byId("suggestions").hidden = !byId("suggestion-lines").childElementCount || this.line.value.trim() !== "";
    byId("arguments-why").textContent = this.missing();
  }

  /** A button that takes a ready line; the first word that only a person knows is selected then. */
  private ready(text: string): HTMLLIElement {
    const button = make("button", { type: "button", class: "ready" }, make("code", {}, visible(text)));
    button.addEventListener("click", () => {
      this.line.value = text;
      this.options.fill();
      this.tell();
      this.line.focus();
      const open = /(?<![^\s])[A-Z][A-Z0-9_]*(?![^\s])/.exec(text);
      if (open) this.line.setSelectionRange(open.index, open.index + open[0].length);
    });
    return make("li", {}, button);
  }
}
