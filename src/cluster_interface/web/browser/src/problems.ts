// Refusals beside the fields they are about; what has no field of its own goes into one list above the button.
import { Refused } from "./api.ts";
import { byId, coded, make, say, sentence } from "./dom.ts";

export function clearProblems(form: HTMLElement): void {
  for (const place of form.querySelectorAll<HTMLElement>("[data-error-for]")) say(place, "");
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  byId("problems").hidden = true;
}

export function showProblems(form: HTMLElement, error: Refused): void {
  clearProblems(form);
  const places = [...form.querySelectorAll<HTMLElement>("[data-error-for]")];
  const rest: string[] = [];
  let first: HTMLElement | null = null;
  for (const { field, message } of error.fields) {
    const name = field.replace(/^spec\./, "");
    const place = bestPlace(places, name);
    const own = place?.dataset.errorFor === name;
    const text = own ? sentence(message) : `${name}: ${message}`;
    if (!place) {
      rest.push(text);
      continue;
    }
    place.closest("details")?.setAttribute("open", "");
    place.append(...(place.hidden ? [] : [" · "]), ...coded(text));
    place.hidden = false;
    first ??= mark(form, place) ?? place;
  }
  if (rest.length || !error.fields.length) {
    const box = byId("problems");
    box.replaceChildren(...(rest.length ? rest : [error.message]).map((text) => make("p", {}, ...coded(text))));
    box.hidden = false;
    first ??= box;
  }
  first?.focus();
  first?.scrollIntoView({ block: "center" });
}

function bestPlace(places: HTMLElement[], name: string): HTMLElement | undefined {
  return places
    .filter((place) => name === place.dataset.errorFor || name.startsWith(`${place.dataset.errorFor}.`))
    .sort((a, b) => (b.dataset.errorFor ?? "").length - (a.dataset.errorFor ?? "").length)[0];
}

function mark(form: HTMLElement, place: HTMLElement): HTMLElement | null {
  if (!place.id) return null;
  const input = form.querySelector<HTMLElement>(`[aria-describedby~="${place.id}"]`);
  input?.setAttribute("aria-invalid", "true");
  return input;
}
