// The part of the form about many tasks: what is written there, and the sweep of the spec that comes of it.
import { byId, say, visible } from "./dom.ts";
import { PASTED, read, show, type Kind, type Written } from "./sweep.ts";
import type { Spec, Sweep } from "./wire.ts";

const EXAMPLES = { "": "", grid: "n = 1..10\nrate = 0.1, 0.01", zip: "n = 1, 2, 3\nname = a, b, c", table: "n,rate\n1,0.1\n2,0.05", files: "data/*.fastq" };

export class ManyTasks {
  private written: Written = read("", "");
  private earlier = ""; // the table of an earlier job
  private readonly kind = byId<HTMLSelectElement>("sweep-kind");
  private readonly text = byId<HTMLTextAreaElement>("sweep-text");

  /** `files` names the job's files; `renamed` is called when the parameters are others. */
  constructor(
    private readonly files: () => string[],
    private readonly renamed: () => void,
  ) {
    for (const part of [this.kind, this.text]) part.addEventListener("input", () => this.read());
  }

  get names(): string[] {
    return this.written.names;
  }

  get wrong(): string {
    return this.written.wrong;
  }

  /** The files that go with it: a table that was pasted. */
  get entries(): NonNullable<Spec["files"]> {
    return this.written.table === undefined ? {} : { [PASTED]: { content: this.written.table } };
  }

  /** Show the sweep of an earlier job. */
  fill(sweep: Sweep | null | undefined): void {
    this.earlier = sweep?.table ?? "";
    if (sweep) show(sweep);
  }

  /** Take what is written. */
  read(): void {
    const kind = this.kind.value as Kind;
    const before = this.names.join();
    this.written = read(kind, this.text.value);
    if (this.names.join() !== before) this.renamed();
    this.text.placeholder = EXAMPLES[kind];
    byId("sweep-fields").hidden = kind === "";
    say(byId("sweep-error"), this.wrong);
    this.text.toggleAttribute("aria-invalid", false);
    const table = kind === "table" && !this.written.sweep && !this.wrong ? this.tableAmongFiles() : undefined;
    byId("sweep-count").textContent = table ? `A task for each row of ${visible(table)}.` : this.written.says;
  }

  /** The spec's sweep; `usual` where none is written. */
  sweep(usual: Sweep | null | undefined): Sweep | undefined {
    const table = this.kind.value === "table" ? this.tableAmongFiles() : undefined;
    const origin = this.written.sweep ?? (table && { table });
    if (!this.kind.value) return usual ?? undefined;
    if (!origin) return undefined;
    const most = byId<HTMLInputElement>("max-running").value.trim();
    return { ...origin, ...(most && { max_running: Number(most) }), ...(byId<HTMLInputElement>("first-alone").checked && { first_alone: true }) };
  }

  /** Lead to what is wrong. */
  showError(): void {
    byId<HTMLDetailsElement>("many").open = true;
    this.text.focus();
  }

  /** Where no table is pasted: the earlier job's, or the one that was chosen with the files. */
  private tableAmongFiles(): string | undefined {
    const names = this.files();
    return names.includes(this.earlier) ? this.earlier : names.find((name) => /\.(csv|tsv|xlsx)$/i.test(name));
  }
}
