// Cancel, run again, deliver again: REST, once per intention, with the refusal in words.
import { askJson, Refused } from "./api.ts";
import { byId, say } from "./dom.ts";
import { wake } from "./live.ts";

let key = crypto.randomUUID(); // one per intention: a repeated click or a retry is the same job

export function listenForActions(job: string): void {
  const dialog = byId<HTMLDialogElement>("confirm");
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const act = target.closest<HTMLButtonElement>("[data-act]");
    if (target.closest("[data-close]")) target.closest("dialog")?.close();
    if (act?.dataset.act === "cancel") dialog.showModal();
    if (act?.dataset.act === "rerun") void during(act, () => rerun(job, ""));
    if (act?.dataset.act === "rerun-failed") void during(act, () => rerun(job, "?failed=true"));
    if (act?.dataset.act === "rerun-with-missing") void during(act, () => rerun(job, "?with_missing=true"));
    if (act?.dataset.act === "keep") void during(act, () => keep(job));
    if (act?.dataset.act === "deliver") void during(act, () => deliver(job));
    if (act?.dataset.act === "discard") byId<HTMLDialogElement>("discard").showModal();
    const gone = target.closest<HTMLButtonElement>("[data-discard]");
    if (gone) void during(gone, () => discard(job)).finally(() => gone.closest("dialog")?.close());
    const confirmed = target.closest<HTMLButtonElement>("[data-confirmed]");
    if (confirmed) void during(confirmed, () => cancel(job)).finally(() => dialog.close());
  });
  for (const box of document.querySelectorAll("dialog")) {
    box.addEventListener("click", (event) => {
      if (event.target === box) box.close(); // a click beside it
    });
  }
}

async function cancel(job: string): Promise<void> {
  await askJson(`/jobs/${job}/cancel`, "POST");
  wake();
}

async function keep(job: string): Promise<void> {
  await askJson(`/jobs/${job}/keep`, "POST", {});
  location.reload();
}

async function deliver(job: string): Promise<void> {
  await askJson(`/jobs/${job}/deliver`, "POST");
  location.reload(); // which follows it from there
}

async function discard(job: string): Promise<void> {
  await askJson(`/jobs/${job}/files`, "DELETE");
  location.reload();
}

async function rerun(job: string, which: string): Promise<void> {
  const made = await askJson<{ id: string }>(`/jobs/${job}/rerun${which}`, "POST", undefined, { "Idempotency-Key": key });
  key = crypto.randomUUID();
  location.assign(`/jobs/${made.id}`);
}

async function during(button: HTMLButtonElement, work: () => Promise<void>): Promise<void> {
  if (button.disabled) return;
  button.disabled = true;
  try {
    say(byId("act-error"), "");
    await work();
  } catch (error) {
    say(byId("act-error"), error instanceof Refused ? error.message : "That did not work. Try again.");
  } finally {
    button.disabled = false;
  }
}
