// Times that stay true while a page is open, in the server's words and by the server's clock.

const skew = Number(document.documentElement.dataset.now ?? 0) * 1000 - Date.now();

function now(): number {
  return (Date.now() + skew) / 1000;
}

export function ago(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 10) return "just now";
  if (whole < 60) return `${Math.floor(whole / 10) * 10} s ago`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ago`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ago`;
  const days = Math.floor(whole / 86400);
  return days === 1 ? "1 day ago" : `${days} days ago`;
}

export function lasted(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  return parts.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}`).join(" ") || "0 s";
}

function refresh(): void {
  if (document.hidden) return;
  for (const element of document.querySelectorAll<HTMLElement>("[data-at]")) put(element, ago(now() - Number(element.dataset.at)));
  for (const element of document.querySelectorAll<HTMLElement>("[data-since]")) put(element, lasted(now() - Number(element.dataset.since)));
  for (const element of document.querySelectorAll<HTMLElement>("[data-clock]")) {
    put(element, new Date(Number(element.dataset.clock) * 1000).toLocaleTimeString());
  }
  for (const element of document.querySelectorAll<HTMLElement>("[data-date]")) {
    const at = new Date(Number(element.dataset.date) * 1000);
    put(element, at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }));
  }
}

function put(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function keepTimes(): void {
  refresh();
  setInterval(refresh, 1000);
  document.addEventListener("htmx:after:swap", refresh);
}
