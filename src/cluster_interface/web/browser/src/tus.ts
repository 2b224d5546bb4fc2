// Uploads by tus 1.0 (https://tus.io/protocols/resumable-upload): what has arrived is never sent again.
import { API, ask, csrf, problem, Refused } from "./api.ts";

const PIECE = 16 * 1024 * 1024; // bytes of one PATCH
const SMALL = 256 * 1024; // bytes of a file that is sent in one request
const TRIES = 6;
const VERSION = { "Tus-Resumable": "1.0.0" };

const begun = new WeakMap<File, string>(); // file -> upload id, so that a second try goes on where the first ended

/** Send a file and return its upload's id, going on with the one that is `known`; `report` is told how many bytes are there. */
export async function upload(file: File, name: string, report: (sent: number) => void, sha256 = "", known?: string): Promise<string> {
  if (file.size <= SMALL && !begun.has(file) && !known && (await sentAtOnce(file, name))) {
    report(file.size);
    return begun.get(file) ?? "";
  }
  let id = begun.get(file) ?? known ?? (await create(file, name, sha256));
  begun.set(file, id);
  let sent = await arrived(id);
  if (sent === null) {
    id = await create(file, name, sha256);
    begun.set(file, id);
    sent = 0;
  }
  for (let failures = 0; sent < file.size; ) {
    report(sent);
    try {
      sent = await append(id, sent, file.slice(sent, sent + PIECE), report);
      failures = 0;
    } catch (error) {
      if (!(error instanceof Refused) || !isTemporary(error.status) || ++failures >= TRIES) throw error;
      if (error.status === 0) await readable(file, sent);
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** failures));
      sent = (await arrived(id).catch(() => null)) ?? sent;
    }
  }
  report(file.size);
  return id;
}

/** Create an upload with all of its bytes in the one request; false where that failed for a while. */
async function sentAtOnce(file: File, name: string): Promise<boolean> {
  try {
    begun.set(file, await create(file, name, "", file));
    return true;
  } catch (error) {
    if (error instanceof Refused && isTemporary(error.status)) return false;
    throw error;
  }
}

/** The browser says the same of a broken connection and of a file that went away: only reading it tells. */
async function readable(file: File, offset: number): Promise<void> {
  try {
    await file.slice(offset, offset + 1).arrayBuffer();
  } catch {
    throw new Refused(400, `${file.name} was removed or changed since it was chosen. Choose it again.`);
  }
}

function isTemporary(status: number): boolean {
  return status === 0 || status === 409 || status === 423 || status >= 500;
}

async function create(file: File, name: string, sha256: string, body?: Blob): Promise<string> {
  const metadata = `filename ${base64(name)}${sha256 && `,sha256 ${base64(sha256)}`}`;
  const content = body && { "Content-Type": "application/offset+octet-stream" };
  const headers = { ...VERSION, ...content, "Upload-Length": String(file.size), "Upload-Metadata": metadata };
  const response = await ask("/uploads", { method: "POST", headers, body: body ?? null });
  if (body && Number(response.headers.get("Upload-Offset")) !== file.size) throw new Refused(503, "Not all of it arrived.");
  const id = new URL(response.headers.get("Location") ?? "", location.href).pathname.split("/").pop();
  if (!id) throw new Refused(502, "The server did not say where to send the file.");
  return id;
}

/** How many bytes the server has; null if it does not know this upload any more. */
async function arrived(id: string): Promise<number | null> {
  try {
    const response = await ask(`/uploads/${id}`, { method: "HEAD", headers: VERSION });
    return Number(response.headers.get("Upload-Offset") ?? 0);
  } catch (error) {
    if (error instanceof Refused && (error.status === 404 || error.status === 410)) return null;
    throw error;
  }
}

/** XMLHttpRequest, since fetch does not say how far a body has gone. */
function append(id: string, offset: number, piece: Blob, report: (sent: number) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", `${API}/uploads/${id}`);
    for (const [name, value] of Object.entries(VERSION)) request.setRequestHeader(name, value);
    request.setRequestHeader("Upload-Offset", String(offset));
    request.setRequestHeader("Content-Type", "application/offset+octet-stream");
    request.setRequestHeader("X-CSRF-Token", csrf());
    request.upload.onprogress = (event) => report(offset + event.loaded);
    request.onerror = () => reject(new Refused(0, "The connection broke during the upload. Submit again: it goes on where it stopped."));
    request.onload = () => {
      if (request.status < 300) resolve(Number(request.getResponseHeader("Upload-Offset") ?? offset + piece.size));
      else reject(failure(request));
    };
    request.send(piece);
  });
}

function failure(request: XMLHttpRequest): Refused {
  const general = `The server answered ${request.status} to an upload.`;
  try {
    return problem(request.status, JSON.parse(request.responseText) as Record<string, unknown>, general);
  } catch {
    return new Refused(request.status, general);
  }
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
