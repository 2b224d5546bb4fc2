// From the form to a job: files up, then the spec, once per intention.
import { askJson } from "./api.ts";
import { byId, bytes } from "./dom.ts";
import type { Entry } from "./files.ts";
import { sendAll, type Outgoing, type Report } from "./uploads.ts";
import type { Spec } from "./wire.ts";

const WAITING = "upload:@"; // + name: stands for a file of this page that has no upload yet

export function placeholder(name: string): string {
  return WAITING + name;
}

export class Sender {
  private key = "";
  private sent = "";

  /** Upload what the spec names, submit, and return the job's id. The same spec again is the same job. */
  async send(spec: Spec, entries: Map<string, Entry>, report: Report): Promise<string> {
    const text = JSON.stringify(spec);
    if (text !== this.sent) [this.key, this.sent] = [crypto.randomUUID(), text];
    const outgoing = named(spec, entries);
    const ids = await sendAll(outgoing, report);
    const uploads = new Map(outgoing.map(({ name, file }) => [name, ids.get(file) ?? ""]));
    const files = Object.fromEntries(Object.entries(spec.files ?? {}).map(([name, entry]) => [name, resolved(entry, uploads)]));
    const made = await askJson<{ id: string }>("/jobs", "POST", { spec: { ...spec, files } }, { "Idempotency-Key": this.key });
    return made.id;
  }
}

/** Say on the page how far the files are. */
export const tellProgress: Report = (done, total, what) => {
  const progress = byId<HTMLProgressElement>("send-progress");
  [progress.max, progress.value] = [Math.max(1, total), done];
  const words = what === "looking" ? "Looking whether your files are there already" : "Sending your files";
  byId("send-note").textContent = what === "sending" && done >= total ? "Submitting…" : `${words}: ${bytes(done)} of ${bytes(total)}`;
};

function named(spec: Spec, entries: Map<string, Entry>): Outgoing[] {
  const sources = Object.values(spec.files ?? {}).map((entry) => String(entry.source ?? ""));
  const names = new Set(sources.filter((source) => source.startsWith(WAITING)).map((source) => source.slice(WAITING.length)));
  return [...names].flatMap((name) => {
    const file = entries.get(name)?.file;
    return file ? [{ name, file }] : [];
  });
}

function resolved(entry: Record<string, unknown>, uploads: Map<string, string>): Record<string, unknown> {
  const source = String(entry.source ?? "");
  const id = source.startsWith(WAITING) ? uploads.get(source.slice(WAITING.length)) : undefined;
  return id === undefined ? entry : { ...entry, source: `upload:${id}` };
}
