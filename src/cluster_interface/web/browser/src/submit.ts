// The form for a new job: files in, a proposal back, a spec out.
import { askJson, Refused } from "./api.ts";
import { ArgumentsForm } from "./arguments.ts";
import { Directives } from "./directives.ts";
import { byId, make, say, visible } from "./dom.ts";
import { texts, type Entry } from "./files.ts";
import { drawFindings } from "./findings.ts";
import { JobFiles } from "./jobfiles.ts";
import { ManyTasks } from "./manytasks.ts";
import { Packages } from "./packages.ts";
import { clearProblems, showProblems } from "./problems.ts";
import { listed, readResources, showResources, value } from "./resources.ts";
import { placeholder, Sender, tellProgress } from "./sending.ts";
import type { Environment, Inspected, Proposal, Spec } from "./wire.ts";

const REST = 350; // milliseconds after the last key before looking again

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
    (files) => this.files.pick(files),
  );
  private readonly sender = new Sender();
  private readonly directives = new Directives();
  private environment: Environment = {};
  private proposed = ""; // the command as last proposed
  private readonly tasks = new ManyTasks(
    () => [...this.entries.keys()],
    () => this.look(),
  );
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
    this.tasks.read();
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
    this.directives.take(proposal);
    drawFindings(proposal, this.environment);
    this.drawSpec();
  }

  private isOwn(): boolean {
    return this.command.value !== "" && this.command.value !== this.proposed;
  }

  /** The parameters to find places for: all, but for those that a command of one's own has. */
  private unplaced(): string[] {
    return this.tasks.names.filter((name) => !this.isOwn() || !this.command.value.includes(`{${name}}`));
  }

  private explainCommand(): void {
    const own = this.proposed !== "" && this.command.value !== this.proposed;
    byId("command-back").hidden = !own;
    byId("command-why").textContent = own ? "This is your own command." : this.proposed ? "Worked out from the script and its arguments. You can change it." : "";
  }

  // --- fields

  private listenForFields(): void {
    this.form.addEventListener("input", (event) => {
      if (event.target !== this.spec) this.drawSpec();
    });
    this.script.addEventListener("change", () => this.look());
    this.command.addEventListener("input", () => {
      this.explainCommand();
      if (this.tasks.names.length) this.look();
    });
    byId("command-back").addEventListener("click", () => {
      this.command.value = this.proposed;
      this.explainCommand();
      this.drawSpec();
      this.look();
      this.command.focus();
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
    showResources(spec.resources ?? {});
    byId<HTMLInputElement>("network").checked = spec.network ?? false;
    this.given = spec;
    byId<HTMLInputElement>("after").value = (spec.after ?? []).join(", ");
    this.tasks.fill(spec.sweep);
    byId<HTMLDetailsElement>("many").open = Boolean(spec.sweep ?? spec.after?.length);
    this.tasks.read();
    this.drawSpec();
  }

  private build(): Spec {
    const [outputs, after, resources] = [listed("outputs"), listed("after"), readResources()];
    const sweep = this.tasks.sweep(this.directives.said.sweep);
    const { retry, checkpoint, dialect } = { ...this.directives.said, ...this.given } as Record<string, unknown>;
    return {
      apiVersion: 1,
      ...(value("name") && { name: value("name") }),
      ...(this.script.value && { script: this.script.value }),
      ...(value("command") && { command: value("command") }),
      environment: this.software(),
      files: {
        ...Object.fromEntries([...this.entries.values()].map((entry) => [entry.name, fileEntry(entry)])),
        ...this.tasks.entries,
      },
      ...(sweep && { sweep }),
      ...(after.length && { after }),
      ...Object.fromEntries(Object.entries({ retry, checkpoint, dialect }).filter(([, said]) => said != null)),
      ...(outputs.length && { outputs }),
      ...(Object.keys(resources).length && { resources }),
      network: byId<HTMLInputElement>("network").checked,
    };
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
    const missing = this.byHand.checked || this.isOwn() ? "" : this.arguments.missing();
    if (!this.sending) byId("send-note").textContent = [missing, open ? doubt : ""].filter(Boolean).join(" ");
  }

  private async send(): Promise<void> {
    if (this.sending) return; // a double click is one job
    if (this.tasks.wrong && !this.byHand.checked) return this.tasks.showError();
    this.setSending(true);
    byId("send-note").textContent = "Looking at it…";
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
