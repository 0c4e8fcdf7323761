// Numbers as text.
const minus = (text) => text.replace(/^-(0\.0*)$/, "$1").replace("-", "−");
export const percent = (share, digits = 1) => minus((100 * share).toFixed(digits));
export const signed = (share) => (share > 0 ? "+" : "") + percent(share);
export const range = (part, text = percent) => `${text(part.low)} to ${text(part.high)}`;
export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

export function number(value) {
  if (value === null) return "";
  const short = Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4));
  return minus(short.toLocaleString("en"));
}

export function pText(p) {
  if (p === null) return "";
  return p < 0.001 ? "<.001" : p >= 1 ? "1" : p.toFixed(3).replace(/^0/, "");
}
