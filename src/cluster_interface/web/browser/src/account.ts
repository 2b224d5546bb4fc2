// Keys for sources: given once, never shown again, removed after a question.
import { askJson, ask, Refused } from "./api.ts";
import { byId, say, visible } from "./dom.ts";
import { clearProblems, showProblems } from "./problems.ts";

const FAILED = "That did not work. Try again.";

export function prepareAccount(): void {
  const form = byId<HTMLFormElement>("credential");
  const kind = byId<HTMLSelectElement>("credential-kind");
  kind.addEventListener("change", () => showKind(form, kind));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void keep(form, kind);
  });
  showKind(form, kind);
  listenForRemovals();
}

function showKind(form: HTMLFormElement, kind: HTMLSelectElement): void {
  for (const part of form.querySelectorAll<HTMLFieldSetElement>("fieldset")) part.hidden = part.disabled = part.dataset.kind !== kind.value;
  byId<HTMLInputElement>("credential-match").placeholder = kind.selectedOptions[0]?.dataset.example ?? "";
}

async function keep(form: HTMLFormElement, kind: HTMLSelectElement): Promise<void> {
  const button = byId<HTMLButtonElement>("credential-keep");
  if (button.ariaDisabled === "true") return; // a double click is one key
  const parts = [...form.querySelectorAll<HTMLInputElement>(`fieldset[data-kind="${kind.value}"] [data-part]`)];
  const secret = Object.fromEntries(parts.filter((part) => part.value).map((part) => [part.dataset.part, part.value]));
  const said = (id: string) => byId<HTMLInputElement>(id).value.trim();
  button.ariaDisabled = "true";
  clearProblems(form);
  try {
    await askJson("/credentials", "POST", { name: said("credential-name"), kind: kind.value, match: said("credential-match"), secret });
    form.reset();
    location.reload();
  } catch (error) {
    showProblems(form, error instanceof Refused ? error : new Refused(0, FAILED));
    button.ariaDisabled = "false";
  }
}

function listenForRemovals(): void {
  const dialog = byId<HTMLDialogElement>("forget");
  let name = "";
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-remove]")) {
    button.addEventListener("click", () => {
      name = button.closest<HTMLElement>("[data-credential]")?.dataset.credential ?? "";
      byId("forget-name").textContent = visible(name);
      dialog.showModal();
    });
  }
  dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
  byId("forget-it").addEventListener("click", () => void forget(name).finally(() => dialog.close()));
}

async function forget(name: string): Promise<void> {
  try {
    await ask(`/credentials/${encodeURIComponent(name)}`, { method: "DELETE" });
    location.reload();
  } catch (error) {
    say(byId("credential-gone"), error instanceof Refused ? error.message : FAILED);
  }
}
