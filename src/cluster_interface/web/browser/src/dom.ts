// Making elements. Text goes in as text: nothing here, or built with it, ever parses HTML.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
}

type Child = Node | string;

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | boolean> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Show a sentence in an element, or hide the element when there is none. */
export function say(element: HTMLElement, text: string): void {
  element.textContent = text;
  element.hidden = text === "";
}

/** Controls and bidi marks as ⟨U+202E⟩: the same as words.visible on the server. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, code);
}

/** The same of a text of several lines: its line breaks and tabs stay. */
export function visibleLines(text: string): string {
  return text.split(/([\n\t])/).map((piece) => (/[\n\t]/.test(piece) ? piece : visible(piece))).join("");
}

/** A text whose parts between backticks are code. */
export function coded(text: string): (Node | string)[] {
  return text.split(/`([^`]+)`/).map((part, at) => (at % 2 ? make("code", {}, visible(part)) : visible(part)));
}

// The same as words.sentence on the server: what else comes first may be a name.
const BEGINS = /^(?:a|all|asked|asks|every|has|is|it|its|left|line|many|must|no|nothing|queue|the|there|this|what|which|write) /;

/** Begun with a capital letter, unless it may begin with a name. */
export function sentence(text: string): string {
  return BEGINS.test(text) ? (text[0] ?? "").toUpperCase() + text.slice(1) : text;
}

export function code(char: string): string {
  return `⟨U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

const UNITS = ["B", "KiB", "MiB", "GiB"];

export function bytes(amount: number): string {
  let size = amount;
  for (const unit of UNITS) {
    if (size < 1024) return Number.isInteger(size) ? `${size} ${unit}` : `${size.toFixed(1)} ${unit}`;
    size /= 1024;
  }
  return `${size.toFixed(1)} TiB`;
}
