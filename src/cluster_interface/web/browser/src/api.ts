// REST under /api/v1, with the session's cookie and its CSRF token.

export const API = "/api/v1";

export interface FieldProblem {
  field: string;
  message: string;
}

/** An answer that is no success, in the server's own words (RFC 9457), or the network's silence (status 0). */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: FieldProblem[] = [],
  ) {
    super(message);
  }
}

export function csrf(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? "";
}

/** Ask the API; answers of 400 and above are thrown as Refused. */
export async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  if ((options.method ?? "GET") !== "GET") headers.set("X-CSRF-Token", csrf());
  let response: Response;
  try {
    response = await fetch(API + path, { ...options, headers, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(0, "The server could not be reached. Check that it runs and try again.");
  }
  if (!response.ok) throw await refused(response);
  return response;
}

export async function askJson<T>(path: string, method = "GET", body?: unknown, headers: HeadersInit = {}): Promise<T> {
  const options: RequestInit = { method, headers: new Headers(headers) };
  if (body !== undefined) {
    (options.headers as Headers).set("Content-Type", "application/json");
    options.body = JSON.stringify(body);
  }
  const response = await ask(path, options);
  return (await response.json()) as T;
}

async function refused(response: Response): Promise<Refused> {
  const general = response.status === 401 ? "This session has ended. Open the pages anew with “clif ui”." : `The server answered ${response.status}.`;
  try {
    return problem(response.status, (await response.json()) as Record<string, unknown>, general);
  } catch {
    return new Refused(response.status, general);
  }
}

/** Read a problem document, trusting nothing about its shape. */
export function problem(status: number, document: Record<string, unknown>, general: string): Refused {
  const listed = Array.isArray(document.errors) ? (document.errors as unknown[]) : [];
  const fields = listed
    .filter((item): item is Record<string, unknown> => typeof item === "object" && item !== null)
    .map((item) => ({ field: String(item.field ?? ""), message: String(item.message ?? "") }));
  const said = document.detail ?? document.title;
  return new Refused(status, status !== 401 && typeof said === "string" && said ? said : general, fields);
}
