import { data, runs } from "./records.js";

// Stored images: clean ones once for each data set, attacked ones as differences from them, modulo 256.
const unpacked = new Map();

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  unpacked.set(text, new Uint8Array(await new Response(stream).arrayBuffer()));
}

// Unpacks the images of runs and what they refer to, before a view shows them.
export async function loadImages(ids) {
  const stored = ids.map((id) => runs[id].evidence).filter(Boolean);
  const texts = stored.flatMap(({ pixels, pure = [], dataset }) => [pixels, ...pure, data.datasets[dataset]?.pixels]);
  await Promise.all([...new Set(texts)].filter((text) => text && !unpacked.has(text)).map(unpack));
}

const cut = (text, place, size) => unpacked.get(text).subarray(place * size, (place + 1) * size);

// One stored image of a run: its predictions and what became of it; its pixels clean, attacked, and purified if known.
export function pictureOf(run, place) {
  const { shape, dataset, pixels, pure, ...lists } = runs[run].evidence, shared = data.datasets[dataset];
  const [id, label, clean, adversarial] = ["ids", "labels", "clean", "adversarial"].map((key) => lists[key][place]);
  const size = shape[0] * shape[1] * shape[2], original = shared && cut(shared.pixels, shared.ids.indexOf(id), size);
  const attacked = cut(pixels, place, size).map((value, k) => value + (original?.[k] ?? 0)); // bytes wrap at 256
  const mostly = (predictions) => 2 * predictions.filter((one) => one === label).length >= predictions.length;
  const fate = !mostly(clean) ? "wrong" : mostly(adversarial) ? "unbroken" : "broken";
  const purified = pure?.map((text) => cut(text, place, size));
  return { id, run, label, clean, adversarial, fate, shape, original, attacked, purified };
}

export const picturesOf = (run) => runs[run].evidence.ids.map((_, place) => pictureOf(run, place));

const largest = ({ attacked, original }) =>
  (original ? attacked.reduce((high, value, k) => Math.max(high, Math.abs(value - original[k])), 1) : 1);

// The largest factor at which no change of these images leaves the range; and the change around grey, magnified.
export const fitting = (pictures) => Math.floor(127.5 / Math.max(1, ...pictures.map(largest)));
export const magnified = ({ attacked, original }, times) =>
  Uint8ClampedArray.from(attacked, (value, k) => 127.5 + times * (value - original[k]));

export function canvas(pixels, [channels, height, width], label) {
  const drawn = Object.assign(document.createElement("canvas"), { width, height });
  const area = width * height, image = new ImageData(width, height);
  for (let k = 0; k < area; k++) {
    const colour = [0, 1, 2].map((channel) => pixels[k + (channels === 3 ? channel * area : 0)]);
    image.data.set([...colour, 255], 4 * k);
  }
  drawn.getContext("2d").putImageData(image, 0, 0);
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", label);
  return drawn;
}
