// Sending files: what the server has of an earlier time is not sent again, the rest goes up a few at a time.
import { askJson } from "./api.ts";
import { upload } from "./tus.ts";

export interface Outgoing {
  file: File;
  name: string;
}

/** How far it is: what is done of all bytes, and whether these are being looked at or sent. */
export type Report = (done: number, total: number, what: "looking" | "sending") => void;

const SMALL = 256 * 1024; // bytes: to ask for less costs more than to send it
const MOST_ASKED = 10_000; // files, in one question
const AT_ONCE = 4;

interface Known {
  uploads: { sha256: string; upload: string }[];
}

/** Bring files to the server and return each one's upload id. */
export async function sendAll(outgoing: Outgoing[], report: Report): Promise<Map<File, string>> {
  const files = outgoing.map(({ file }) => file);
  const sums = await sumsOf(files.filter(({ size }) => size > SMALL), report);
  const known = await ask(sums);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const [there, ids, waiting] = [new Map<File, number>(), new Map<File, string>(), [...outgoing]];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { file, name } = next;
      const sha256 = sums.get(file) ?? "";
      const tell = (sent: number) => {
        there.set(file, sent);
        report([...there.values()].reduce((sum, size) => sum + size, 0), total, "sending");
      };
      ids.set(file, await upload(file, name, tell, sha256, known.get(sha256)));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return ids;
}

/** The checksums of files; none where this browser cannot make them: then everything is sent. */
async function sumsOf(files: File[], report: Report): Promise<Map<File, string>> {
  const sums = new Map<File, string>();
  const address = document.querySelector<HTMLElement>("[data-sums]")?.dataset.sums;
  if (!files.length || !address) return sums;
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  let worker: Worker | undefined;
  try {
    worker = new Worker(address, { type: "module" });
    for (const file of files) {
      sums.set(file, await sumOf(worker, file, (done) => report(before + done, total, "looking")));
      before += file.size;
    }
  } catch {
    return sums;
  } finally {
    worker?.terminate();
  }
  return sums;
}

function sumOf(worker: Worker, file: File, tell: (done: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    worker.onerror = reject;
    worker.onmessageerror = reject;
    worker.onmessage = ({ data }: MessageEvent<{ done?: number; sha256?: string; failed?: true }>) => {
      if (data.failed) reject(new Error("the file cannot be read"));
      else if (data.sha256) resolve(data.sha256);
      else tell(data.done ?? 0);
    };
    worker.postMessage(file);
  });
}

/** Which of these the server has, at least in part: checksum -> upload. To know nothing only costs sending. */
async function ask(sums: Map<File, string>): Promise<Map<string, string>> {
  const files = [...sums].slice(0, MOST_ASKED).map(([{ size }, sha256]) => ({ size, sha256 }));
  if (!files.length) return new Map();
  const answer = await askJson<Known>("/uploads/known", "POST", { files }).catch((): Known => ({ uploads: [] }));
  return new Map(answer.uploads.map((one) => [one.sha256, one.upload]));
}
