// A script's own options as a small form; what is filled in becomes its arguments.
import { make } from "./dom.ts";
import { split } from "./shellwords.ts";
import type { Option } from "./wire.ts";

export class OptionForm {
  private options: Option[] = [];

  constructor(
    private readonly box: HTMLElement,
    private readonly fields: HTMLElement,
    changed: () => void,
  ) {
    fields.addEventListener("input", changed);
  }

  /** Draw the options, unless they are the ones drawn already. */
  show(options: Option[]): void {
    if (JSON.stringify(options) === JSON.stringify(this.options)) return;
    this.options = options;
    this.fields.replaceChildren(...options.map((option, index) => field(option, `option-${index}`)));
    this.box.hidden = options.length === 0;
  }

  /** The words that the filled-in options make: options first, then positional arguments in order. */
  words(): string[] {
    const named: string[] = [];
    const positional: string[] = [];
    this.options.forEach((option, index) => {
      const input = this.fields.querySelector<HTMLInputElement | HTMLSelectElement>(`#option-${index}`);
      if (!input) return;
      if (option.flag) {
        if ((input as HTMLInputElement).checked) named.push(option.name);
        return;
      }
      if (!input.value) return;
      const values = option.many ? split(input.value) : [input.value];
      if (option.positional) positional.push(...values);
      else if (values.length === 1 && values[0]?.startsWith("-")) named.push(`${option.name}=${values[0]}`);
      else named.push(option.name, ...values);
    });
    // `--` keeps the values of an open-ended option apart from what follows it.
    const open = this.options.some((option) => option.many && !option.positional);
    return open && named.length && positional.length ? [...named, "--", ...positional] : [...named, ...positional];
  }
}

function field(option: Option, id: string): HTMLElement {
  const title = option.name.replace(/^-+/, "").replaceAll(/[-_]/g, " ");
  const help = make("small", { id: `${id}-help` }, option.help);
  const required = option.required ? [make("span", { class: "tag" }, "required")] : [];
  if (option.flag) {
    const box = make("input", { type: "checkbox", id });
    return make("label", { class: "check" }, box, make("span", {}, title, " ", help));
  }
  const label = make("label", { for: id }, title, " ", ...required);
  return make("div", {}, label, control(option, id), help);
}

function control(option: Option, id: string): HTMLElement {
  const described = { id, "aria-describedby": `${id}-help`, required: option.required };
  if (option.choices.length) {
    const preset = make("option", { value: "" }, option.default === null ? "–" : `${option.default} (default)`);
    return make("select", described, preset, ...option.choices.map((choice) => make("option", { value: choice }, choice)));
  }
  const number = option.kind === "int" || option.kind === "float";
  const mode: Record<string, string> = number ? { inputmode: option.kind === "int" ? "numeric" : "decimal" } : {};
  return make("input", { ...described, ...mode, placeholder: option.default ?? (option.many ? "one or more" : ""), spellcheck: "false" });
}
