// A pattern's form: the example stands in it, whatever is changed takes its place, and one click runs it.
import { askJson, Refused } from "./api.ts";
import { byId, bytes, make, say, visible } from "./dom.ts";
import { clearProblems, showProblems } from "./problems.ts";
import { placeholder, tellProgress } from "./sending.ts";
import { sendAll } from "./uploads.ts";
import type { Spec } from "./wire.ts";

/** A file of a field: the example's text, one from this computer, or one that has an address. */
interface Given {
  name: string;
  content?: string;
  file?: File;
  source?: string;
}

interface Example {
  values: Record<string, unknown>;
  files: Record<string, string>;
}

type Values = Record<string, unknown>;

export function preparePattern(): void {
  new PatternForm(byId<HTMLFormElement>("pattern"));
}

class PatternForm {
  private readonly files = new Map<string, Given[]>();
  private readonly address: string;
  private key = "";
  private sent = "";
  private sending = false;

  constructor(private readonly form: HTMLFormElement) {
    this.address = `/patterns/${encodeURIComponent(form.dataset.name ?? "")}`;
    const example = JSON.parse(form.dataset.example ?? "{}") as Example;
    for (const field of this.fields("file", "files")) {
      const named = [example.values[name(field)] ?? []].flat() as string[];
      this.files.set(name(field), named.map((file) => (example.files[file] === undefined ? { name: file, source: file } : { name: file, content: example.files[file] })));
      this.listen(field);
      this.draw(field);
    }
    form.addEventListener("input", () => this.changed());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send();
    });
    document.getElementById("clear")?.addEventListener("click", () => this.clear());
    byId<HTMLDetailsElement>("shown").addEventListener("toggle", () => void this.show());
  }

  private fields(...kinds: string[]): HTMLElement[] {
    return [...this.form.querySelectorAll<HTMLElement>("[data-field]")].filter((field) => !kinds.length || kinds.includes(field.dataset.kind ?? ""));
  }

  // --- files

  private listen(field: HTMLElement): void {
    const picked = part<HTMLInputElement>(field, "input[type=file]");
    picked.addEventListener("change", () => {
      this.add(field, [...(picked.files ?? [])].map((file) => ({ name: file.name, file })));
      picked.value = "";
    });
    const address = part<HTMLInputElement>(field, ".address");
    const take = () => this.addAddress(field, address);
    part(field, ".add").addEventListener("click", take);
    address.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // Enter adds the file; it does not submit the job
      take();
    });
    const site = field.querySelector<HTMLSelectElement>(".of-site");
    site?.addEventListener("change", () => {
      if (site.value) this.add(field, [{ name: site.selectedOptions[0]?.text ?? site.value, source: site.value }]);
      site.value = "";
    });
  }

  private addAddress(field: HTMLElement, input: HTMLInputElement): void {
    const text = input.value.trim();
    const known = /^[a-z][a-z0-9+.-]*:./.test(text);
    const error = part(field, ".error");
    if (!known && !text.startsWith("/")) return say(error, "Write an address that begins with https://, or a path that begins with /.");
    say(error, "");
    this.add(field, [{ name: text, source: known ? text : `file:${text}` }]);
    input.value = "";
  }

  /** What a person brings takes the example's place; of several files, each name is there once. */
  private add(field: HTMLElement, given: Given[]): void {
    if (!given.length) return;
    const kept = (this.files.get(name(field)) ?? []).filter((file) => file.content === undefined && !given.some((fresh) => fresh.name === file.name));
    this.files.set(name(field), field.dataset.kind === "files" ? [...kept, ...given] : given.slice(0, 1));
    this.draw(field);
    this.changed();
  }

  private draw(field: HTMLElement): void {
    part(field, ".picked").replaceChildren(...(this.files.get(name(field)) ?? []).map((file) => this.row(field, file)));
  }

  private row(field: HTMLElement, file: Given): HTMLLIElement {
    const remove = make("button", { type: "button", class: "plain", "aria-label": `Remove ${visible(file.name)}` }, "Remove");
    remove.addEventListener("click", () => {
      this.files.set(name(field), (this.files.get(name(field)) ?? []).filter((other) => other !== file));
      this.draw(field);
      this.changed();
      part(field, "input[type=file]").focus();
    });
    const path = make("bdi", { class: "path" }, visible(file.name));
    if (file.content === undefined) {
      const about = file.file ? bytes(file.file.size) : "where it is";
      return make("li", {}, path, make("span", { class: "quiet" }, about), remove);
    }
    const text = make("pre", { class: "code", tabindex: "0", "aria-label": `Text of ${visible(file.name)}` }, file.content);
    return make("li", { class: "example" }, make("details", {}, make("summary", {}, path), text), remove);
  }

  // --- values

  private changed(): void {
    byId("send").textContent = "Submit the job";
    const note = document.getElementById("is-example");
    if (note) note.hidden = true;
    if (byId<HTMLDetailsElement>("shown").open) void this.show();
  }

  private clear(): void {
    for (const field of this.fields()) {
      if (this.files.has(name(field))) {
        this.files.set(name(field), []);
        this.draw(field);
        continue;
      }
      const input = field.querySelector<HTMLInputElement | HTMLTextAreaElement>("input, textarea");
      if (input) input.value = "";
    }
    this.changed();
    this.form.querySelector<HTMLElement>("[data-field] input, [data-field] textarea")?.focus();
  }

  private values(source: (file: Given) => string | undefined): Values {
    const values: Values = {};
    for (const field of this.fields()) {
      const files = this.files.get(name(field));
      if (files) {
        values[name(field)] = files.map((file) => value(file, source(file)));
        continue;
      }
      const input = part<HTMLInputElement>(field, "input, textarea, select");
      values[name(field)] = field.dataset.kind === "flag" ? input.checked : input.value;
    }
    return values;
  }

  private request(source: (file: Given) => string | undefined): { values: Values; spec: Spec } {
    const said = (id: string) => byId<HTMLInputElement>(id).value.trim();
    const resources = Object.fromEntries(["cpus", "memory", "time"].filter(said).map((id) => [id, said(id)]));
    return { values: this.values(source), spec: { ...(said("name") && { name: said("name") }), ...(Object.keys(resources).length && { resources }) } };
  }

  private async show(): Promise<void> {
    if (!byId<HTMLDetailsElement>("shown").open) return;
    const asked = this.request((file) => file.source ?? placeholder(file.name));
    try {
      const made = await askJson<{ spec: Spec }>(this.address, "POST", asked);
      byId("spec").textContent = JSON.stringify(made.spec, null, 2);
    } catch (error) {
      byId("spec").textContent = error instanceof Refused ? `Not yet: ${error.message}` : "";
    }
  }

  // --- sending

  private async send(): Promise<void> {
    if (this.sending) return; // a double click is one job
    this.setSending(true);
    clearProblems(this.form);
    try {
      const wanted = this.request((file) => file.source ?? placeholder(file.name));
      await askJson(this.address, "POST", wanted); // what is wrong is said before anything is uploaded
      const ids = await this.upload();
      const document = this.request((file) => ids.get(file) ?? file.source);
      const text = JSON.stringify(document);
      if (text !== this.sent) [this.key, this.sent] = [crypto.randomUUID(), text];
      byId("send-note").textContent = "Submitting…";
      const job = await askJson<{ id: string }>(`${this.address}/jobs`, "POST", document, { "Idempotency-Key": this.key });
      location.assign(`/jobs/${encodeURIComponent(job.id)}`);
    } catch (error) {
      this.setSending(false);
      showProblems(this.form, error instanceof Refused ? error : new Refused(0, "A file could not be read any more. Choose it again, then submit."));
    }
  }

  private async upload(): Promise<Map<Given, string>> {
    const all = [...this.files.values()].flat().flatMap((given) => (given.file ? [{ given, file: given.file, name: given.name }] : []));
    const ids = await sendAll(all, tellProgress);
    return new Map(all.map(({ given, file }) => [given, `upload:${ids.get(file)}`]));
  }

  private setSending(on: boolean): void {
    this.sending = on;
    byId("send").setAttribute("aria-disabled", String(on)); // not disabled: that would throw the focus away
    byId("send-progress").hidden = !on;
    byId("send-note").textContent = "";
  }
}

function name(field: HTMLElement): string {
  return field.dataset.field ?? "";
}

function part<T extends HTMLElement = HTMLElement>(field: HTMLElement, selector: string): T {
  const found = field.querySelector<T>(selector);
  if (!found) throw new Error(`the field has no ${selector}`);
  return found;
}

/** A file as the API takes it. What is named by its address is called as its address ends. */
function value(given: Given, source: string | undefined): Values | string {
  if (given.content !== undefined) return { name: given.name, content: given.content };
  if (!given.file) return given.source ?? "";
  return { name: given.name, source: source ?? "", size: given.file.size };
}
