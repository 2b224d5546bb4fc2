// What inspection found out, in the form: warnings, the Python, the files that are read and written.
import { byId, make, visible } from "./dom.ts";
import { notes } from "./directives.ts";
import { inFormWords } from "./formwords.ts";
import type { Environment, Proposal } from "./wire.ts";

export function drawFindings(proposal: Proposal, environment: Environment): void {
  const warnings = byId("warnings");
  const asked = proposal.guesses.filter((guess) => guess.sure === "ask").map((guess) => guess.value);
  const told = proposal.warnings.filter((text) => !asked.some((name) => text.endsWith(`--with ${name}`) || text.endsWith(`--system ${name}`)));
  warnings.replaceChildren(...told.map((text) => make("li", {}, ...inFormWords(text))), ...notes(proposal));
  warnings.hidden = !warnings.children.length;
  const python = environment.python;
  const needs = [python ? `Python ${python.version ?? "of the base system"}` : "", python?.requirements ? `the packages of ${python.requirements}` : ""];
  byId("python-line").textContent = needs.filter(Boolean).join(", with ");
  const why = (field: string, value: string) => proposal.guesses.find((guess) => guess.field === field && guess.value === value)?.rests_on ?? "";
  const list = (id: string, field: string, values: string[], word: string) =>
    byId(id).replaceChildren(...values.map((value) => make("li", {}, make("span", { class: "tag" }, word), " ", make("code", {}, visible(value)), make("small", {}, visible(why(field, value))))));
  list("reading", "files", proposal.inputs, "reads");
  list("writing", "outputs", proposal.outputs, "writes");
}
