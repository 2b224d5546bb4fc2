// The software that was found: every line says what it rests on; what is doubtful waits for a yes.
import { byId, make, say, visible } from "./dom.ts";
import type { Environment, Proposal, Sureness } from "./wire.ts";

export type Kind = "python" | "system";

interface Package {
  kind: Kind;
  value: string;
  why: string;
  sure: Sureness;
  wanted: boolean;
  own: boolean; // added by hand
}

const WORDS: Record<Sureness, string> = { stated: "you wrote it", known: "well known", likely: "read from the code", ask: "please check" };
const FIELDS: Record<string, Kind> = { "environment.python.packages": "python", "environment.system": "system" };

export class Packages {
  private found: Package[] = [];
  private decided = new Map<string, boolean>(); // what the person ticked or unticked stays so

  constructor(
    private readonly list: HTMLElement,
    private readonly changed: () => void,
  ) {
    byId("package-add").addEventListener("click", () => this.addNamed());
    byId("package-name").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // Enter adds the line; it does not submit the job
      this.addNamed();
    });
  }

  /** Take what inspection found, keeping what was added and decided by hand. */
  propose(proposal: Proposal): void {
    const guessed = proposal.guesses
      .filter((guess) => guess.field in FIELDS)
      .map((guess) => this.entry(FIELDS[guess.field] ?? "python", guess.value, guess.rests_on, guess.sure));
    const named = new Set(guessed.map(keyOf));
    const unexplained = listed(proposal.environment)
      .filter(([kind, value]) => !named.has(`${kind} ${value}`))
      .map(([kind, value]) => this.entry(kind, value, "", "stated"));
    this.found = [...guessed, ...unexplained, ...this.found.filter((item) => item.own && !named.has(keyOf(item)))];
    this.draw();
  }

  /** Take the packages of an earlier job's spec. */
  take(environment: Environment): void {
    this.found = listed(environment).map(([kind, value]) => ({ ...this.entry(kind, value, "from the earlier job", "stated"), own: true }));
    this.draw();
  }

  /** Take the package whose name was written. */
  private addNamed(): void {
    const input = byId<HTMLInputElement>("package-name");
    const value = input.value.trim();
    const error = byId("package-error");
    if (!/^[A-Za-z0-9][^\s@/\\#]*/.test(value)) return say(error, "Write a package's name, for example pandas or pandas>=2.");
    say(error, "");
    this.add(byId<HTMLSelectElement>("package-kind").value as Kind, value);
    input.value = "";
    input.focus();
  }

  private add(kind: Kind, value: string): void {
    this.decided.set(`${kind} ${value}`, true);
    const known = this.found.find((item) => keyOf(item) === `${kind} ${value}`);
    if (known) known.wanted = true;
    else this.found.push({ ...this.entry(kind, value, "added by you", "stated"), own: true });
    this.draw();
    this.changed();
  }

  wanted(kind: Kind): string[] {
    return this.found.filter((item) => item.kind === kind && item.wanted).map((item) => item.value);
  }

  /** How many doubtful packages are still not ticked. */
  open(): number {
    return this.found.filter((item) => item.sure === "ask" && !item.wanted && !this.decided.has(keyOf(item))).length;
  }

  private entry(kind: Kind, value: string, why: string, sure: Sureness): Package {
    return { kind, value, why, sure, wanted: this.decided.get(`${kind} ${value}`) ?? sure !== "ask", own: false };
  }

  private draw(): void {
    if (!this.found.length) {
      this.list.replaceChildren(make("li", { class: "quiet" }, "Nothing beyond the language itself."));
      return;
    }
    this.list.replaceChildren(...this.found.map((item) => this.line(item)));
  }

  private line(item: Package): HTMLLIElement {
    const box = make("input", { type: "checkbox" });
    box.checked = item.wanted;
    box.addEventListener("change", () => {
      item.wanted = box.checked;
      this.decided.set(keyOf(item), box.checked);
      this.changed();
    });
    const kind = item.kind === "system" ? " (system)" : "";
    const name = make("span", {}, make("code", {}, visible(item.value)), kind);
    const why = make("small", {}, item.sure === "ask" ? `Tick it only if you know that it is the right package: a wrong one runs code of strangers. Is it a file of yours? Then add that above. ${visible(item.why)}` : visible(item.why));
    return make("li", { "data-sure": item.sure }, make("label", { class: "check" }, box, make("span", {}, name, " ", make("span", { class: "tag" }, item.own ? "added" : WORDS[item.sure]), why)));
  }
}

function keyOf(item: { kind: Kind; value: string }): string {
  return `${item.kind} ${item.value}`;
}

function listed(environment: Environment): [Kind, string][] {
  const python = (environment.python?.packages ?? []).map((value): [Kind, string] => ["python", value]);
  return [...python, ...(environment.system ?? []).map((value): [Kind, string] => ["system", value])];
}
