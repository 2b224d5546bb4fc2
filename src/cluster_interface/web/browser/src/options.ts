// A script's own options as fields, in step with its arguments: what is written in either is in the other.
import { chooser, counts, isOpen, isUneven, put, read, stand } from "./commandline.ts";
import { byId, make, visible } from "./dom.ts";
import { join, split } from "./shellwords.ts";
import type { Option } from "./wire.ts";

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

const LISTS: Record<string, string> = { path: "job-files", directory: "job-folders" }; // what is offered for a value of this kind
const WRITTEN = /(^|[_-])out(put|dir|file)?([_-]|$)/i; // what a program writes is not chosen among the files here

export class OptionForm {
  private options: Option[] = [];
  private readonly box = byId("options");
  private readonly fields = byId("option-fields");

  /** `changed` takes the new words; `pick` puts files into the job and says what they are called there. */
  constructor(
    private readonly line: () => string[] | null,
    private readonly changed: (words: string[]) => void,
    private readonly pick: (files: FileList) => string[],
  ) {
    this.fields.addEventListener("input", (event) => this.take(event.target as HTMLElement));
  }

  /** Draw the options, unless they are the ones drawn already. */
  show(options: Option[]): void {
    if (JSON.stringify(options) === JSON.stringify(this.options)) return;
    this.options = options;
    const drawn = options.map((option, index) => ({ option, index, rank: rank(option, options) })).sort((a, b) => a.rank - b.rank);
    this.fields.replaceChildren(...drawn.map(({ option, index }) => this.field(option, `option-${index}`)));
    this.box.hidden = options.length === 0;
    this.fill();
  }

  /** Put what the words say into the fields, but for the one that is being written in. */
  fill(): void {
    const words = this.line();
    if (words === null) return;
    const found = read(words, this.options);
    const hasCommands = chooser(this.options) !== undefined;
    this.options.forEach((option, index) => {
      const control = this.fields.querySelector<Control>(`#option-${index}`);
      if (!control) return;
      const holder = control.closest<HTMLElement>(".option");
      if (holder) holder.hidden = hasCommands && !counts(option, found.command);
      const values = found.values.get(option);
      if (control !== document.activeElement) hold(control, option, values && !isOpen(option, values) ? values : []);
    });
  }

  /** The names of what still has to be given, as far as the words tell. */
  missing(words: string[]): string[] {
    const found = read(words, this.options);
    const wanted = this.options.filter((one) => (one.required && !one.flag && counts(one, found.command)) || found.values.has(one));
    const open = wanted.filter((one) => !found.values.has(one) || isOpen(one, found.values.get(one)) || isUneven(one, found.values.get(one)));
    return open.map(title);
  }

  private take(target: HTMLElement): void {
    const index = Number(/^option-(\d+)$/.exec(target.id)?.[1] ?? NaN);
    const [option, words] = [this.options[index], this.line()];
    if (!option || words === null) return;
    try {
      this.changed(put(words, this.options, option, values(target as Control, option)));
    } catch {
      return; // a quote is open in a list of values: wait until it is closed
    }
    this.fill();
  }

  private field(option: Option, id: string): HTMLElement {
    const help = make("small", { id: `${id}-help` }, visible(option.help));
    if (option.flag) {
      const box = make("input", { type: "checkbox", id });
      return make("label", { class: "check option" }, box, make("span", {}, title(option), " ", help));
    }
    const required = option.required ? [make("span", { class: "tag" }, "required")] : [];
    const input = control(option, id);
    const beside = option.kind in LISTS && !WRITTEN.test(option.name) ? [input, this.picker(option, id)] : [input];
    return make("div", { class: "option" }, make("label", { for: id }, title(option), " ", ...required), make("div", { class: "with-file" }, ...beside), help);
  }

  /** What opens the browser's own choice of files or, for a directory, of a folder; several folders come one by one. */
  private picker(option: Option, id: string): HTMLElement {
    const folder = option.kind === "directory";
    const label = `Choose… a ${folder ? "folder" : "file"} for ${title(option)}`;
    const input = make("input", { type: "file", class: "unseen", id: `${id}-file`, multiple: option.many && !folder, webkitdirectory: folder, "aria-label": label });
    input.addEventListener("change", () => {
      const names = input.files ? this.pick(input.files) : [];
      const words = this.line();
      input.value = "";
      if (!names.length || words === null) return;
      const before = folder && option.many ? (read(words, this.options).values.get(option) ?? []) : [];
      this.changed(put(words, this.options, option, [...(isOpen(option, before) ? [] : before), ...names]));
      this.fill();
    });
    return make("span", { class: "pick" }, make("label", { class: "button plain", for: input.id }, "Choose…"), input);
  }
}

/** Where an option is drawn: what chooses, what must be given, what may be, what is ticked. */
function rank(option: Option, options: Option[]): number {
  if (option === chooser(options, option.command)) return 0;
  if (option.required || (option.positional && option.command)) return 1;
  return option.flag ? 3 : 2;
}

function title(option: Option): string {
  return visible(option.name.replace(/^-+/, "").replaceAll(/[-_]/g, " "));
}

function control(option: Option, id: string): Control {
  const described = { id, "aria-describedby": `${id}-help`, required: option.required };
  if (option.choices.length && !option.many) {
    const preset = make("option", { value: "" }, option.default === null ? "–" : `${visible(option.default)} (default)`);
    return make("select", described, preset, ...option.choices.map((choice) => make("option", { value: choice }, visible(choice))));
  }
  const number = !option.many && (option.kind === "int" || option.kind === "float");
  const list = LISTS[option.kind];
  const about: Record<string, string> = number ? { type: "number", step: option.kind === "int" ? "1" : "any" } : list ? { list } : {};
  return make("input", { ...described, ...about, placeholder: visible(option.default ?? (option.count ? `${option.count} values` : option.many ? "one or more" : option.required ? stand(option) : "")), spellcheck: "false", autocomplete: "off" });
}

function values(input: Control, option: Option): string[] {
  if (option.flag) return (input as HTMLInputElement).checked ? [option.name] : [];
  if (!input.value) return [];
  return option.many ? split(input.value) : [input.value];
}

/** Show values in a control; where it cannot hold them (no number, several lines, no choice) one takes its place that can. */
function hold(input: Control, option: Option, found: string[]): void {
  if (option.flag) {
    (input as HTMLInputElement).checked = found.length > 0;
    return;
  }
  const text = option.many ? join(found) : (found.at(-1) ?? "");
  const usual = input instanceof HTMLTextAreaElement ? control(option, input.id) : input;
  usual.value = text;
  if (usual.value === text) return usual === input ? undefined : input.replaceWith(usual);
  if (usual instanceof HTMLSelectElement) {
    usual.append(make("option", { value: text }, `${visible(text)} (not one of its choices)`));
    usual.value = text;
    return;
  }
  const free = make("textarea", { id: input.id, rows: "2", spellcheck: "false", "aria-describedby": `${input.id}-help` });
  free.value = text;
  input.replaceWith(free);
}
