// The form for a new job: files in, a proposal back, a spec out.
import { askJson, Refused } from "./api.ts";
import { ArgumentsForm } from "./arguments.ts";
import { byId, bytes, make, say, visible } from "./dom.ts";
import { texts, type Entry } from "./files.ts";
import { JobFiles } from "./jobfiles.ts";
import { Packages, type Kind } from "./packages.ts";
import { clearProblems, showProblems } from "./problems.ts";
import { placeholder, Sender, tellProgress } from "./sending.ts";
import { read as readSweep, show as showSweep, PASTED, type Kind as SweepKind, type Written } from "./sweep.ts";
import type { Environment, Inspected, Proposal, Spec } from "./wire.ts";

const REST = 350; // milliseconds after the last key before looking again
const NUMBERS = ["gpus", "nodes", "tasks_per_node"]; // of the further resources
const NAMES = ["gpu_type", "scheduler", "runtime", "account", "qos", "reservation", "constraint"];

export function prepareForm(): void {
  new SubmitForm(byId<HTMLFormElement>("submit"));
}

class SubmitForm {
  private readonly files = new JobFiles(() => this.filesChanged());
  private readonly entries = this.files.entries;
  private readonly packages = new Packages(byId("packages"), () => this.drawSpec());
  private readonly arguments = new ArgumentsForm(
    () => {
      this.drawSpec();
      this.look();
    },
    (file) => this.takeFile(file),
  );
  private readonly sender = new Sender();
  private environment: Environment = {};
  private proposed = ""; // the command as last proposed
  private sweep: Written = readSweep("", "");
  private given: Spec = {}; // what an earlier job's spec says beyond the form
  private turn = 0;
  private looked = Promise.resolve(); // when what was last asked for has been answered
  private sending = false;

  private readonly script = byId<HTMLSelectElement>("script");
  private readonly command = byId<HTMLTextAreaElement>("command");
  private readonly name = byId<HTMLInputElement>("name");
  private readonly spec = byId<HTMLTextAreaElement>("spec");
  private readonly byHand = byId<HTMLInputElement>("by-hand");

  constructor(private readonly form: HTMLFormElement) {
    this.listenForFields();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.send();
    });
    if (form.dataset.spec) this.fill(JSON.parse(form.dataset.spec) as Spec);
  }

  // --- files

  private filesChanged(): void {
    this.drawScripts();
    this.readTasks();
    byId("rest").hidden = this.entries.size === 0;
    document.getElementById("patterns")?.toggleAttribute("hidden", this.entries.size > 0);
    this.look();
  }

  private drawScripts(): void {
    const before = this.script.value;
    this.script.replaceChildren(make("option", { value: "" }, "found among the files"), ...this.files.names().map((name) => make("option", { value: name }, visible(name))));
    this.script.value = this.entries.has(before) ? before : "";
  }

  // --- what was found

  private look(): void {
    const turn = ++this.turn;
    const rest = new Promise((done) => setTimeout(done, turn > 1 ? REST : 0));
    this.looked = rest.then(() => (turn === this.turn ? this.inspect(turn) : undefined));
  }

  private async inspect(turn: number): Promise<void> {
    if (![...this.entries.values()].some((entry) => entry.file)) return this.drawSpec();
    const words = this.arguments.words();
    if (words === null) return;
    const looking = byId("looking");
    looking.textContent = "Looking at it…";
    try {
      const files = await texts(this.entries.values());
      const asked = { script: this.script.value || null, arguments: words, parameters: this.unplaced(), files };
      const found = await askJson<Inspected>("/inspect", "POST", asked);
      if (turn === this.turn) this.propose(found.proposal, words);
      looking.textContent = "";
    } catch (error) {
      if (turn !== this.turn) return;
      looking.textContent = error instanceof Refused ? `Could not be looked at: ${error.message}` : "Could not be looked at. Fill in the form by hand.";
    }
  }

  private propose(proposal: Proposal, words: string[]): void {
    if (proposal.script && this.entries.has(proposal.script)) this.script.value = proposal.script;
    if (!this.isOwn()) this.command.value = proposal.command;
    this.proposed = proposal.command;
    this.explainCommand();
    if (!this.name.value || this.name.value === this.name.dataset.proposed) this.name.value = proposal.name;
    this.name.dataset.proposed = proposal.name;
    this.environment = proposal.environment;
    this.arguments.propose(proposal, words);
    this.packages.propose(proposal);
    this.drawFindings(proposal);
    this.drawSpec();
  }

  private isOwn(): boolean {
    return this.command.value !== "" && this.command.value !== this.proposed;
  }

  /** The parameters to find places for: all, but for those that a command of one's own has. */
  private unplaced(): string[] {
    return this.sweep.names.filter((name) => !this.isOwn() || !this.command.value.includes(`{${name}}`));
  }

  private readTasks(): void {
    const kind = byId<HTMLSelectElement>("sweep-kind").value as SweepKind;
    const text = byId<HTMLTextAreaElement>("sweep-text");
    const before = this.sweep.names.join();
    this.sweep = readSweep(kind, text.value);
    if (this.sweep.names.join() !== before) this.look();
    const examples = { "": "", grid: "n = 1..10\nrate = 0.1, 0.01", zip: "n = 1, 2, 3\nname = a, b, c", table: "n,rate\n1,0.1\n2,0.05", files: "data/*.fastq" };
    text.placeholder = examples[kind];
    byId("sweep-fields").hidden = kind === "";
    say(byId("sweep-error"), this.sweep.wrong);
    text.toggleAttribute("aria-invalid", false);
    const table = kind === "table" && !this.sweep.sweep && !this.sweep.wrong ? this.tableAmongFiles() : undefined;
    byId("sweep-count").textContent = table ? `A task for each row of ${visible(table)}.` : this.sweep.says;
  }

  private explainCommand(): void {
    const own = this.proposed !== "" && this.command.value !== this.proposed;
    byId("command-back").hidden = !own;
    byId("command-why").textContent = own ? "This is your own command." : this.proposed ? "Worked out from the script and its arguments. You can change it." : "";
  }

  private drawFindings(proposal: Proposal): void {
    const warnings = byId("warnings");
    warnings.hidden = !proposal.warnings.length;
    warnings.replaceChildren(...proposal.warnings.map((text) => make("li", {}, visible(text))));
    const python = this.environment.python;
    const needs = [python ? `Python ${python.version ?? ""}`.trim() : "", python?.requirements ? `the packages of ${python.requirements}` : ""];
    byId("python-line").textContent = needs.filter(Boolean).join(", with ");
    const why = (field: string, value: string) => proposal.guesses.find((guess) => guess.field === field && guess.value === value)?.rests_on ?? "";
    const list = (id: string, field: string, values: string[], word: string) =>
      byId(id).replaceChildren(...values.map((value) => make("li", {}, make("span", { class: "tag" }, word), " ", make("code", {}, visible(value)), make("small", {}, visible(why(field, value))))));
    list("reading", "files", proposal.inputs, "reads");
    list("writing", "outputs", proposal.outputs, "writes");
  }

  // --- fields

  private listenForFields(): void {
    this.form.addEventListener("input", (event) => {
      if (event.target !== this.spec) this.drawSpec();
    });
    for (const id of ["sweep-kind", "sweep-text"]) byId(id).addEventListener("input", () => this.readTasks());
    this.script.addEventListener("change", () => this.look());
    this.command.addEventListener("input", () => {
      this.explainCommand();
      if (this.sweep.names.length) this.look();
    });
    byId("command-back").addEventListener("click", () => {
      this.command.value = this.proposed;
      this.explainCommand();
      this.drawSpec();
      this.look();
      this.command.focus();
    });
    byId("package-add").addEventListener("click", () => this.addPackage());
    byId("package-name").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // Enter adds the line; it does not submit the job
      this.addPackage();
    });
    const queue = byId<HTMLSelectElement>("queue");
    const usual = byId("queue-note").textContent ?? "";
    queue.addEventListener("change", () => (byId("queue-note").textContent = queue.selectedOptions[0]?.dataset.note ?? usual));
    this.byHand.addEventListener("change", () => {
      this.spec.readOnly = !this.byHand.checked;
      for (const part of this.form.querySelectorAll("#rest section")) part.toggleAttribute("inert", this.byHand.checked);
      if (!this.byHand.checked) this.drawSpec();
      else this.spec.focus();
    });
  }

  private takeFile(file: File): string {
    this.files.add({ name: file.name, file });
    return file.name;
  }

  private addPackage(): void {
    const input = byId<HTMLInputElement>("package-name");
    const value = input.value.trim();
    const kind = byId<HTMLSelectElement>("package-kind").value as Kind;
    const error = byId("package-error");
    if (!/^[A-Za-z0-9][^\s@/\\#]*/.test(value)) return say(error, "Write a package's name, for example pandas or pandas>=2.");
    say(error, "");
    this.packages.add(kind, value);
    input.value = "";
    input.focus();
  }

  // --- the spec

  private fill(spec: Spec): void {
    this.files.fill(Object.entries(spec.files ?? {}).map(([name, { source, ...more }]) => ({ name, source: typeof source === "string" ? source : "", more })));
    this.drawScripts();
    byId("rest").hidden = false;
    this.script.value = spec.script ?? "";
    this.command.value = this.proposed = spec.command ?? "";
    this.name.value = spec.name ?? "";
    this.environment = spec.environment ?? {};
    this.packages.take(this.environment);
    byId<HTMLInputElement>("outputs").value = (spec.outputs ?? []).join(", ");
    const wanted = spec.resources ?? {};
    for (const field of ["cpus", "queue"] as const) byId<HTMLInputElement>(field).value = String(wanted[field] ?? "");
    byId<HTMLInputElement>("memory").value = typeof wanted.memory === "number" ? bytes(wanted.memory).replace(" ", "") : (wanted.memory ?? "");
    byId<HTMLInputElement>("time").value = typeof wanted.time === "number" ? `${wanted.time}s` : (wanted.time ?? "");
    byId<HTMLInputElement>("network").checked = spec.network ?? false;
    this.given = spec;
    for (const field of [...NUMBERS, ...NAMES]) byId<HTMLInputElement>(field).value = String(wanted[field] ?? "");
    byId<HTMLInputElement>("licenses").value = ((wanted.licenses as string[] | undefined) ?? []).join(", ");
    byId<HTMLInputElement>("exclusive").checked = wanted.exclusive === true;
    byId<HTMLInputElement>("after").value = (spec.after ?? []).join(", ");
    byId<HTMLDetailsElement>("more").open = [...NUMBERS, ...NAMES].some((field) => wanted[field] != null && wanted[field] !== 1);
    if (spec.sweep) showSweep(spec.sweep);
    byId<HTMLDetailsElement>("many").open = Boolean(spec.sweep ?? spec.after?.length);
    this.readTasks();
    this.drawSpec();
  }

  private build(): Spec {
    const value = (id: string) => byId<HTMLInputElement>(id).value.trim();
    const outputs = value("outputs").split(/[\s,]+/).filter(Boolean);
    const resources = {
      ...(value("cpus") && { cpus: Number(value("cpus")) }),
      ...(value("memory") && { memory: value("memory") }),
      ...(value("time") && { time: value("time") }),
      ...(value("queue") && { queue: value("queue") }),
      ...Object.fromEntries(NUMBERS.filter(value).map((field) => [field, Number(value(field))])),
      ...Object.fromEntries(NAMES.filter(value).map((field) => [field, value(field)])),
      ...(value("licenses") && { licenses: value("licenses").split(/[\s,]+/).filter(Boolean) }),
      ...(byId<HTMLInputElement>("exclusive").checked && { exclusive: true }),
    };
    const after = value("after").split(/[\s,]+/).filter(Boolean);
    const sweep = this.buildSweep(value("max-running"));
    const { retry, checkpoint, dialect } = this.given as Record<string, unknown>;
    return {
      apiVersion: 1,
      ...(value("name") && { name: value("name") }),
      ...(this.script.value && { script: this.script.value }),
      ...(value("command") && { command: value("command") }),
      environment: this.software(),
      files: {
        ...Object.fromEntries([...this.entries.values()].map((entry) => [entry.name, fileEntry(entry)])),
        ...(this.sweep.table !== undefined && { [PASTED]: { content: this.sweep.table } }),
      },
      ...(sweep && { sweep }),
      ...(after.length && { after }),
      ...Object.fromEntries(Object.entries({ retry, checkpoint, dialect }).filter(([, said]) => said != null)),
      ...(outputs.length && { outputs }),
      ...(Object.keys(resources).length && { resources }),
      network: byId<HTMLInputElement>("network").checked,
    };
  }

  private buildSweep(most: string): Spec["sweep"] | undefined {
    const kind = byId<HTMLSelectElement>("sweep-kind").value;
    const table = kind === "table" ? this.tableAmongFiles() : undefined;
    const origin = this.sweep.sweep ?? (table && { table });
    if (!kind || !origin) return undefined;
    return { ...origin, ...(most && { max_running: Number(most) }), ...(byId<HTMLInputElement>("first-alone").checked && { first_alone: true }) };
  }

  private software(): Environment {
    const packages = this.packages.wanted("python");
    const python = this.environment.python || packages.length ? { ...this.environment.python, packages } : null;
    return { ...this.environment, python, system: this.packages.wanted("system") };
  }

  private drawSpec(): void {
    if (!this.byHand.checked) this.spec.value = JSON.stringify(this.build(), null, 2);
    const open = this.packages.open();
    const doubt = open === 1 ? "One package above is doubtful and will be left out." : `${open} packages above are doubtful and will be left out.`;
    if (!this.sending) byId("send-note").textContent = open ? doubt : "";
  }

  private async send(): Promise<void> {
    if (this.sending) return; // a double click is one job
    if (this.sweep.wrong && !this.byHand.checked) return this.showSweepError();
    this.setSending(true);
    await this.looked; // a command that is being worked out is the one that is meant
    const spec = this.read();
    if (!spec) return this.setSending(false);
    clearProblems(this.form);
    try {
      const id = await this.sender.send(spec, this.entries, tellProgress);
      byId("send-note").textContent = "Submitted. Opening the job…";
      location.assign(`/jobs/${encodeURIComponent(id)}`);
    } catch (error) {
      this.setSending(false);
      const shown = error instanceof Refused ? error : new Refused(0, "A file could not be read any more. Choose it again, then submit.");
      showProblems(this.form, shown);
    }
  }

  /** Where no table is pasted: the earlier job's, or the one that was chosen with the files. */
  private tableAmongFiles(): string | undefined {
    const known = this.given.sweep?.table;
    return known && this.entries.has(known) ? known : [...this.entries.keys()].find((name) => /\.(csv|tsv|xlsx)$/i.test(name));
  }

  private showSweepError(): void {
    byId<HTMLDetailsElement>("many").open = true;
    byId("sweep-text").focus();
  }

  private read(): Spec | null {
    if (!this.byHand.checked) return this.build();
    try {
      const spec = JSON.parse(this.spec.value) as Spec;
      say(byId("spec-error"), "");
      return spec;
    } catch (error) {
      say(byId("spec-error"), `This is not JSON: ${(error as Error).message}`);
      this.spec.focus();
      return null;
    }
  }

  private setSending(on: boolean): void {
    this.sending = on;
    const button = byId<HTMLButtonElement>("send");
    button.setAttribute("aria-disabled", String(on)); // not disabled: that would throw the focus away
    button.textContent = on ? "Submitting…" : "Submit the job";
    byId("send-progress").hidden = !on;
    if (!on) this.drawSpec();
  }
}

function fileEntry(entry: Entry): Record<string, unknown> {
  if (entry.file) return { source: placeholder(entry.name), size: entry.file.size };
  return entry.source ? { ...entry.more, source: entry.source } : { ...entry.more };
}
