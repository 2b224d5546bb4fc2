// From the form to a job: files up, a few at a time, then the spec, once per intention.
import { askJson } from "./api.ts";
import type { Entry } from "./files.ts";
import { upload } from "./tus.ts";
import type { Spec } from "./wire.ts";

const AT_ONCE = 4;
const WAITING = "upload:@"; // + name: stands for a file of this page that has no upload yet

export function placeholder(name: string): string {
  return WAITING + name;
}

export class Sender {
  private key = "";
  private sent = "";

  /** Upload what the spec names, submit, and return the job's id. The same spec again is the same job. */
  async send(spec: Spec, entries: Map<string, Entry>, report: (done: number, total: number) => void): Promise<string> {
    const text = JSON.stringify(spec);
    if (text !== this.sent) [this.key, this.sent] = [crypto.randomUUID(), text];
    const uploads = await this.uploadAll(named(spec, entries), report);
    const files = Object.fromEntries(Object.entries(spec.files ?? {}).map(([name, entry]) => [name, resolved(entry, uploads)]));
    const made = await askJson<{ id: string }>("/jobs", "POST", { spec: { ...spec, files } }, { "Idempotency-Key": this.key });
    return made.id;
  }

  private async uploadAll(entries: Entry[], report: (done: number, total: number) => void): Promise<Map<string, string>> {
    const total = entries.reduce((sum, entry) => sum + (entry.file?.size ?? 0), 0);
    const there = new Map<string, number>();
    const ids = new Map<string, string>();
    const waiting = [...entries];
    const worker = async (): Promise<void> => {
      for (let entry = waiting.shift(); entry?.file; entry = waiting.shift()) {
        const { name, file } = entry;
        const id = await upload(file, name, (sent) => {
          there.set(name, sent);
          report([...there.values()].reduce((sum, size) => sum + size, 0), total);
        });
        ids.set(name, id);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return ids;
  }
}

function named(spec: Spec, entries: Map<string, Entry>): Entry[] {
  const sources = Object.values(spec.files ?? {}).map((entry) => String(entry.source ?? ""));
  const names = new Set(sources.filter((source) => source.startsWith(WAITING)).map((source) => source.slice(WAITING.length)));
  return [...names].map((name) => entries.get(name)).filter((entry) => entry?.file !== undefined) as Entry[];
}

function resolved(entry: Record<string, unknown>, uploads: Map<string, string>): Record<string, unknown> {
  const source = String(entry.source ?? "");
  const id = source.startsWith(WAITING) ? uploads.get(source.slice(WAITING.length)) : undefined;
  return id === undefined ? entry : { ...entry, source: `upload:${id}` };
}
