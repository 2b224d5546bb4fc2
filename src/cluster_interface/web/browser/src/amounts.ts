// Amounts as one writes them in a spec, exactly: the same as model/amounts.py.

export function spellBytes(amount: number): string {
  const units = ["", "KiB", "MiB", "GiB", "TiB"];
  let power = units.length - 1;
  while (power > 0 && (amount === 0 || amount % 1024 ** power !== 0)) power--;
  return `${amount / 1024 ** power}${units[power]}`;
}

export function spellTime(seconds: number): string {
  const parts: [number, string][] = [
    [Math.floor(seconds / 3600), "h"],
    [Math.floor((seconds % 3600) / 60), "m"],
    [seconds % 60, "s"],
  ];
  return parts.filter(([count]) => count).map(([count, unit]) => `${count}${unit}`).join("") || "0s";
}
