"use strict";

// --- what the page holds -------------------------------------------------------------------------------------------
const page = JSON.parse(document.getElementById("data").textContent);
const hasTruth = page.images.some((image) => image.truth && image.truth.boxes.length);
const names = [...new Set(page.images.flatMap((image) => (image.truth ? image.truth.classes : [])))].sort();
const several = page.variants.length > 1;
const arrived = new Map(); // details that came from files beside the page

// called by the files beside the page
function received(number, detail) {
  arrived.get(number).resolve(detail);
}

function detail(number) {
  if (!page.files) return Promise.resolve(JSON.parse(document.getElementById(`image-${number}`).textContent));
  if (!arrived.has(number)) {
    const entry = {};
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    arrived.set(number, entry);
    const source = `${encodeURIComponent(page.files)}/${number}.js`;
    const script = make("script", { src: source });
    script.onerror = () => entry.reject(new Error(`${source} is missing beside this page`));
    document.head.append(script);
  }
  return arrived.get(number).promise;
}

// --- elements: text is always text, never markup ----------------------------------------------------------------------
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// in percent of `image`, so that a box at its border can be kept a few pixels inside, where its whole line is seen
function rectangle(box, image, ...kinds) {
  return kinds.map((kind) => {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const inset = (value, size) => `clamp(3px, ${((100 * value) / size).toFixed(3)}%, 100% - 3px)`;
    const [x1, x2] = [box[0], box[2]].map((value) => inset(value, image.width));
    const [y1, y2] = [box[1], box[3]].map((value) => inset(value, image.height));
    rect.setAttribute("class", kind.name || kind);
    Object.assign(rect.style, { x: x1, y: y1, width: `calc(${x2} - ${x1})`, height: `calc(${y2} - ${y1})` });
    if (kind.stroke) rect.style.stroke = kind.stroke;
    return rect;
  });
}

const option = (value, text = value) => make("option", { value }, text);
const $ = (selector, root = document) => root.querySelector(selector);

// --- maps: grey images of ids, coloured here -------------------------------------------------------------------------
async function decoded(map, width = Infinity) {
  const image = new Image();
  image.src = map.ids;
  await image.decode();
  const w = Math.min(width, image.width);
  const h = Math.max(1, Math.round((image.height * w) / image.width));
  const canvas = make("canvas", { width: w, height: h });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, w, h);
  const pixels = context.getImageData(0, 0, w, h).data;
  const ids = new Uint8Array(w * h);
  const counts = new Array(map.palette_index.length).fill(0);
  for (let i = 0; i < ids.length; i++) counts[(ids[i] = pixels[4 * i])]++;
  return { width: w, height: h, ids, shares: counts.map((count) => count / ids.length), colours: map.palette_index.map(colour) };
}

const colour = (slot) => page.palette[slot % page.palette.length];
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// translucent clusters between crisp white lines; `off` are hidden, all but `lit` step back
function paint(canvas, map, { opacity = 0.5, off = new Set(), lit = null } = {}) {
  const { width, height, ids } = map;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer); // little endian: alpha, blue, green, red
  const fills = map.colours.map((hex, id) => {
    const [r, g, b] = rgb(hex);
    const alpha = off.has(id) ? 0 : lit === null ? opacity : id === lit ? Math.max(opacity, 0.75) : opacity * 0.22;
    return ((Math.round(alpha * 255) << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
  const edge = ((Math.round(Math.min(1, opacity * 1.8) * 255) << 24) | 0xffffff) >>> 0;
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      const id = ids[i];
      const right = x + 1 < width ? ids[i + 1] : id;
      const below = y + 1 < height ? ids[i + width] : id;
      const border = (right !== id && !(off.has(id) && off.has(right))) || (below !== id && !(off.has(id) && off.has(below)));
      pixels[i] = border ? edge : fills[id];
    }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// --- cards: the same in the gallery and in the grid ----------------------------------------------------------------------
const overlap = (number, variant) => (page.images[number].overlaps[variant] || [null])[0];
const isHit = (number, variant) => overlap(number, variant) !== null && overlap(number, variant) >= page.iou;

function fitness(number, variant) {
  const value = overlap(number, variant);
  if (value === null) return "";
  const hit = isHit(number, variant);
  return make("span", { class: `fitness ${hit ? "hit" : "miss"}` }, `${value.toFixed(2)} ${hit ? "✓" : "✗"}`);
}

function spoken(number, variant) {
  const value = overlap(number, variant);
  const classes = classesOf(number);
  return [
    page.images[number].id,
    ...(classes.length ? [`showing ${classes.join(", ")}`] : []),
    ...(value === null ? [] : [`overlap ${value.toFixed(2)}, ${isHit(number, variant) ? "hit" : "miss"}`]),
  ].join("; ");
}

const classesOf = (number) => [...new Set(page.images[number].truth ? page.images[number].truth.classes : [])];

const cards = new Map(); // card -> what it shows
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting && cards.has(target)) {
        watcher.unobserve(target);
        fill(target).catch((error) => target.firstChild.append(make("span", { class: "lost" }, error.message)));
      }
  },
  { rootMargin: "600px", scrollMargin: "600px" },
);

function card(number, variant, caption) {
  const image = page.images[number];
  const fit = make("div", { class: "fit" }, make("img", { alt: "" }), make("canvas"));
  const button = make("button", { type: "button", class: "card", "aria-label": `${spoken(number, variant)}; open` }, fit, ...caption);
  button.style.setProperty("--ar", image.width / image.height);
  button.addEventListener("click", () => openViewer(number, variant, button));
  cards.set(button, { number, variant });
  watcher.observe(button);
  return button;
}

async function fill(target) {
  const shown = cards.get(target);
  if (shown.fill) return shown.fill();
  const { photo, maps } = await detail(shown.number);
  shown.map = maps[shown.variant] && { ...(await decoded(maps[shown.variant], 360)), box: maps[shown.variant].box };
  const picture = $("img", target);
  picture.alt = `Photograph ${spoken(shown.number, shown.variant)}`;
  if (photo) picture.src = photo;
  else picture.replaceWith(make("span", { class: "lost" }, "photograph not kept"));
  if (!shown.map) target.firstChild.append(make("span", { class: "lost" }, "not explained by this run"));
  redraw(target);
}

function redraw(target) {
  const { number, map } = cards.get(target);
  if (!map) return;
  const options = controls();
  paint($("canvas", target), map, { opacity: options.opacity / 100 });
  drawBoxes(target.firstChild, number, options, map, true);
}

function drawBoxes(fit, number, options, map, simple = false) {
  const image = page.images[number];
  const svg = $("svg", fit) || fit.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"));
  const components = simple ? [] : map.components;
  const lines = (name, key) =>
    components.flatMap((one) => rectangle(one[key], image, "thin", { name, stroke: map.colours[one.cluster] }));
  svg.replaceChildren(
    ...(options.components && !simple ? lines("components", "box") : []),
    ...(options.inner && !simple ? lines("inner", "inner_box") : []),
    ...(options.truth && image.truth ? image.truth.boxes.flatMap((box) => rectangle(box, image, "rim", "truth")) : []),
    ...(options.chosen && map.box ? rectangle(map.box, image, "rim", "chosen") : []),
  );
}

// --- the gallery -----------------------------------------------------------------------------------------------------
const filters = $("#filters");

function controls() {
  const value = (name) => filters.elements[name].value;
  const ticked = (name) => filters.elements[name].checked;
  return {
    variant: Number(value("variant")), sort: value("sort"), class: value("class"), size: value("size"), result: value("result"),
    name: value("name").toLowerCase(), opacity: Number(value("opacity")), chosen: ticked("chosen"), truth: ticked("truth"),
  };
}

const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
const sizeOf = (box) => (area(box) < 32 ** 2 ? "small" : area(box) < 96 ** 2 ? "medium" : "large");

function passes(number, options) {
  const image = page.images[number];
  if (options.name && !image.id.toLowerCase().includes(options.name)) return false;
  if (options.result && (overlap(number, options.variant) === null || isHit(number, options.variant) !== (options.result === "hit"))) return false;
  if (!options.class && !options.size) return true;
  return Boolean(image.truth) && image.truth.boxes.some(
    (box, i) => (!options.class || image.truth.classes[i] === options.class) && (!options.size || sizeOf(box) === options.size),
  );
}

let listed = []; // image numbers in the gallery's order

function list() {
  const options = controls();
  const rank = (number) => overlap(number, options.variant) ?? -1;
  listed = page.images.map((_, number) => number).filter((number) => passes(number, options));
  if (options.sort === "best") listed.sort((a, b) => rank(b) - rank(a) || a - b);
  if (options.sort === "worst") listed.sort((a, b) => rank(a) - rank(b) || a - b);
  for (const old of $("#cards").children) cards.delete(old);
  $("#cards").replaceChildren();
  const hits = listed.filter((number) => isHit(number, options.variant)).length;
  $("#count").textContent = `${listed.length} of ${page.images.length}${hasTruth ? `, ${hits} hit` : ""}`;
  $("#none").hidden = listed.length > 0;
  more();
}

function more() {
  const { variant } = controls();
  const begun = $("#cards").children.length;
  const next = listed.slice(begun, begun + 60).map((number) => {
    const name = make("span", { title: page.images[number].id }, page.images[number].id);
    const classes = make("span", { class: "classes" }, classesOf(number).join(", "));
    return card(number, variant, [make("span", { class: "caption" }, name, fitness(number, variant)), classes]);
  });
  $("#cards").append(...next);
}

const end = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && more(), { rootMargin: "800px" });

filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", ({ target }) => {
  if (["opacity", "chosen", "truth"].includes(target.name)) for (const one of cards.keys()) redraw(one);
  else list();
});
$("#clear").addEventListener("click", () => {
  for (const name of ["class", "size", "result", "name"]) filters.elements[name].value = "";
  list();
});

// --- the grid: one image under all settings ------------------------------------------------------------------------------
const spread = (number) => {
  const known = page.variants.map((_, variant) => overlap(number, variant)).filter((value) => value !== null);
  return known.length ? Math.max(...known) - Math.min(...known) : -1;
};
// at first the image on which the maps differ most
const compare = { image: page.images.reduce((most, _, number) => (spread(number) > spread(most) ? number : most), 0) };

function chooser(text, name, values, chosen) {
  const select = make("select", { name }, ...values.map(([value, label]) => option(value, label)));
  select.value = chosen;
  select.addEventListener("change", () => {
    compare[name] = select.value;
    compareAgain();
  });
  return make("label", {}, text, select);
}

const spelled = (axis) => (axis === "k" ? "K" : axis.replaceAll("_", " "));

function compareAgain() {
  const all = Object.keys(page.axes);
  compare.rows ??= all.includes("model") ? "model" : all.length > 1 ? all.find((axis) => axis !== "k") : "";
  compare.columns ??= ["training", "k", ...all].find((axis) => all.includes(axis) && axis !== compare.rows);
  if (compare.columns === compare.rows) compare.rows = all.find((axis) => axis !== compare.columns) || "";
  const fixed = all.filter((axis) => axis !== compare.rows && axis !== compare.columns);
  for (const axis of fixed) compare[axis] ??= page.axes[axis][Math.floor((page.axes[axis].length - 1) / 2)];
  const axes = all.map((axis) => [axis, spelled(axis)]);
  $("#compare-bar").replaceChildren(
    ...(page.images.length > 1 ? [chooser("Image", "image", page.images.map((image, number) => [number, image.id]), compare.image)] : []),
    ...(all.length > 1 ? [chooser("Down", "rows", axes, compare.rows), chooser("Across", "columns", axes, compare.columns)] : []),
    ...fixed.map((axis) => chooser(spelled(axis), axis, page.axes[axis].map((value) => [value, value]), compare[axis])),
  );
  pivot(fixed);
}

function pivot(fixed) {
  const variantAt = (row, column) => {
    const wanted = { ...Object.fromEntries(fixed.map((axis) => [axis, compare[axis]])), [compare.columns]: column };
    if (row !== null) wanted[compare.rows] = row;
    return page.variants.findIndex(({ settings }) => Object.entries(wanted).every(([axis, value]) => settings[axis] === value));
  };
  const all = compare.rows ? page.axes[compare.rows] : [null];
  const columns = page.axes[compare.columns].filter((column) => all.some((row) => variantAt(row, column) >= 0));
  const rows = all.filter((row) => columns.some((column) => variantAt(row, column) >= 0));
  const head = columns.map((value) => make("th", { scope: "col" }, `${compare.columns === "k" ? "K " : ""}${value}`));
  const image = page.images[Number(compare.image)];
  const photograph = make("td", { rowspan: rows.length }, original(Number(compare.image)));
  const body = rows.map((row, number) => {
    const cells = columns.map((column) => {
      const variant = variantAt(row, column);
      return make("td", {}, variant < 0 ? make("div", { class: "empty" }, "no such run") : compared(Number(compare.image), variant));
    });
    const name = row === null ? [] : [make("th", { scope: "row" }, `${compare.rows === "k" ? "K " : ""}${row}`)];
    return make("tr", {}, ...name, ...(number ? [] : [photograph]), ...cells);
  });
  for (const old of $("#pivot").querySelectorAll(".card")) cards.delete(old);
  const corner = compare.rows ? [make("td")] : [];
  $("#pivot").replaceChildren(make("tr", {}, ...corner, make("th", { scope: "col" }, "photograph"), ...head), ...body);
  if (!rows.length) $("#pivot").append(make("tr", {}, make("td", {}, make("div", { class: "empty" }, "no such run"))));
  $("#pivot").style.setProperty("--ar", image.width / image.height);
  $("#pivot").style.setProperty("--across", columns.length + 1);
  $("#pivot").style.setProperty("--names", compare.rows ? "clamp(4.5rem, 11vw, 10rem)" : "0rem");
}

function original(number) {
  const { id, width, height } = page.images[number];
  const picture = make("img", { alt: `Photograph ${id}` });
  const frame = make("div", { class: "fit" }, picture);
  frame.style.setProperty("--ar", width / height);
  detail(number).then(({ photo }) => (photo ? (picture.src = photo) : picture.replaceWith(make("span", { class: "lost" }, "not kept"))));
  return make("div", { class: "card" }, frame);
}

function compared(number, variant) {
  const { settings, training } = page.variants[variant];
  const name = training === settings.training ? "" : training; // what a model's default is
  return card(number, variant, [make("span", { class: "caption" }, make("span", { title: name }, name), fitness(number, variant))]);
}

// --- a diff: the images that changed most, before, after and what changed --------------------------------------------------
let changes = []; // of the pair that is shown, in order

function changesAgain() {
  const { pair, sort } = Object.fromEntries([...document.querySelectorAll("#diff-bar select")].map((one) => [one.name, one.value]));
  const chosen = page.diff.pairs[pair ?? 0];
  changes = chosen.images.map((image) => ({ ...image, before: chosen.before, after: chosen.after }));
  if (sort === "least") changes.reverse();
  if (sort === "beyond") changes.sort((a, b) => b.noise - b.ari - (a.noise - a.ari));
  if (sort === "order") changes.sort((a, b) => a.number - b.number);
  for (const old of $("#changes").querySelectorAll(".card")) cards.delete(old);
  $("#changes").replaceChildren();
  moreChanges();
}

function moreChanges() {
  const begun = $("#changes").children.length;
  $("#changes").append(...changes.slice(begun, begun + 12).map(changeRow));
}

function changeRow(change) {
  const { number, before, after } = change;
  const vanished = make("span"), appeared = make("span");
  const noise = change.noise === null ? [] : [make("span", {}, `same encoder, other seed ${change.noise.toFixed(2)}`)];
  const facts = [make("span", {}, `ARI ${change.ari.toFixed(2)}`), ...noise, make("span", {}, `${Math.round(change.changed * 100)} % of pixels changed`)];
  const caption = (text, variant) => [make("span", { class: "caption" }, make("span", {}, text), fitness(number, variant))];
  const photograph = original(number);
  photograph.append(make("span", { class: "caption" }, make("span", {}, "photograph")));
  const cells = [
    photograph,
    card(number, before, caption(`before: ${page.variants[before].label}`, before)),
    card(number, after, caption(`after: ${page.variants[after].label}`, after)),
    changedCard(change, vanished, appeared),
  ];
  return make("article", { class: "change" }, make("header", {}, make("b", {}, page.images[number].id), ...facts, vanished, appeared), make("div", { class: "four" }, ...cells));
}

function changedCard(change, vanished, appeared) {
  const { id, width, height } = page.images[change.number];
  const picture = make("img", { alt: `What changed in ${id}` });
  const canvas = make("canvas");
  const target = make("div", { class: "card grey" }, make("div", { class: "fit" }, picture, canvas), make("span", { class: "caption" }, make("span", {}, "what changed, in its new colour")));
  target.style.setProperty("--ar", width / height);
  const swatches = (text, ids, colours) => [ids.length ? `${ids.length} ${text}` : `none ${text}`, ...ids.map((one) => {
    const swatch = make("i", { class: "swatch" });
    swatch.style.background = colours[one];
    return swatch;
  })];
  const filled = async () => {
    const { photo, maps } = await detail(change.number);
    if (photo) picture.src = photo;
    const [before, after] = await Promise.all([change.before, change.after].map((variant) => decoded(maps[variant], 360)));
    vanished.replaceChildren(...swatches("vanished", change.vanished, before.colours));
    appeared.replaceChildren(...swatches("appeared", change.appeared, after.colours));
    paintChange(canvas, before, after, change);
  };
  cards.set(target, { number: change.number, variant: change.after, fill: filled });
  watcher.observe(target);
  return target;
}

// where clusters are counterparts the photograph stays; new clusters are stronger than those that have moved
function paintChange(canvas, before, after, { counterparts, appeared }) {
  const { width, height } = after;
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const kept = new Map(counterparts);
  const fills = after.colours.map((hex, id) => {
    const [r, g, b] = rgb(hex);
    return (((appeared.includes(id) ? 185 : 110) << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
  for (let i = 0; i < pixels.length; i++) if (kept.get(before.ids[i]) !== after.ids[i]) pixels[i] = fills[after.ids[i]];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const choice = (text, name, values, change) => {
  const select = make("select", { name }, ...values.map(([value, label]) => option(value, label)));
  select.addEventListener("change", change);
  return make("label", {}, text, select);
};

function beginDiff() {
  const label = ({ before, after }) => `${page.variants[before].label} → ${page.variants[after].label}`;
  const pairs = page.diff.pairs.map((pair, number) => [number, label(pair)]);
  const known = page.diff.pairs.some(({ images }) => images.some(({ noise }) => noise !== null));
  const sorts = [["most", "changed most first"], ...(known ? [["beyond", "most beyond the seed's noise"]] : []), ["least", "changed least first"], ["order", "as in the data set"]];
  $("#diff-bar").replaceChildren(...(pairs.length > 1 ? [choice("Pair", "pair", pairs, changesAgain)] : []), choice("Sorted", "sort", sorts, changesAgain));
  changesAgain();
  new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && moreChanges(), { rootMargin: "800px" }).observe($("#more-changes"));
  if (page.diff.steps.length) beginSteps();
}

// --- one image over the steps of a training ----------------------------------------------------------------------------------
function beginSteps() {
  const most = page.diff.pairs[0].images[0].number;
  const ks = [...new Set(page.variants.map(({ settings }) => settings.k))];
  $("#steps-bar").replaceChildren(
    choice("Image", "image", page.images.map((image, number) => [number, image.id]), stepAgain),
    ...(ks.length > 1 ? [choice("K", "k", ks.map((k) => [k, k]), stepAgain)] : []),
  );
  $("#steps-bar select").value = most;
  const steps = page.variants.filter(({ settings }) => settings.k === ks[0]).length;
  Object.assign($("#step"), { max: steps - 1, value: steps - 1 });
  $("#step").addEventListener("input", stepAgain);
  stepAgain();
}

async function stepAgain() {
  const value = (name) => document.querySelector(`#steps-bar [name=${name}]`)?.value;
  const number = Number(value("image"));
  const k = value("k") ?? page.variants[0].settings.k;
  const variants = page.variants.map((_, variant) => variant).filter((variant) => page.variants[variant].settings.k === k);
  const variant = variants[$("#step").value];
  const { photo, maps } = await detail(number);
  const map = maps[variant] && (await decoded(maps[variant]));
  const { id, width, height } = page.images[number];
  const fit = $("#step-fit");
  fit.style.setProperty("--ar", width / height);
  Object.assign($("img", fit), { alt: `Photograph ${id}, ${page.diff.steps[variant]}`, ...(photo ? { src: photo } : {}) });
  $("#step-name").textContent = page.diff.steps[variant];
  if (map) paint($("canvas", fit), map);
}

// --- the viewer --------------------------------------------------------------------------------------------------------
const viewer = $("#viewer");
const fit = $("#fit");
const view = { number: 0, variant: 0, off: new Set(), lit: null, here: null, pinned: false, maps: [], small: [] };
let opener = null;

async function openViewer(number, variant, from = null) {
  opener = from || opener;
  if (!viewer.open) viewer.showModal();
  const image = page.images[number];
  Object.assign(view, { number, maps: [], small: [], pinned: false });
  const { photo, maps } = await detail(number);
  if (view.number !== number) return;
  view.maps = maps;
  if (!maps[variant]) variant = maps.findIndex(Boolean);
  $("#viewer-title").textContent = image.id;
  fit.style.setProperty("--ar", image.width / image.height);
  const picture = $("img", fit);
  picture.alt = `Photograph ${image.id}`;
  if (photo) picture.src = photo;
  else picture.removeAttribute("src");
  await strip(maps);
  await choose(variant);
  if (fit !== document.activeElement && !viewer.contains(document.activeElement)) fit.focus();
}

async function choose(variant) {
  const number = view.number;
  const map = { ...view.maps[variant], ...(await decoded(view.maps[variant])) };
  if (view.number !== number) return;
  Object.assign(view, { variant, map, off: new Set(), lit: null, here: null });
  $("#variant").value = variant;
  $("#variant").title = page.variants[variant].label;
  history.replaceState(null, "", `#image=${number}&map=${variant}`);
  const { width, height } = page.images[number];
  const value = overlap(number, variant);
  $("#viewer-facts").replaceChildren(
    [several ? page.variants[variant].label : "", `${width} × ${height}`, ...classesOf(number)].filter(Boolean).join(" · "),
    ...(value === null ? [] : [" · IoU ", fitness(number, variant)]),
  );
  legend();
  look();
  mark(view.at || null);
}

function legend() {
  const { map } = view;
  $("#legend").replaceChildren(
    ...map.shares.map((share, id) => {
      const swatch = make("span", { class: "swatch" });
      const bar = make("span", { class: "share" });
      swatch.style.background = bar.style.background = map.colours[id];
      bar.style.width = `${Math.max(2, share * 100)}%`;
      const percent = `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
      const button = make("button", { type: "button", "aria-pressed": "true", "aria-label": `Cluster ${id + 1}, ${percent} of the image` },
        swatch, make("span", {}, String(id + 1)), make("span", {}, percent), bar);
      const light = (lit) => () => ((view.lit = lit), look());
      button.addEventListener("pointerenter", light(id));
      button.addEventListener("pointerleave", light(null));
      button.addEventListener("focus", () => button.matches(":focus-visible") && light(id)());
      button.addEventListener("blur", light(null));
      button.addEventListener("click", () => {
        view.off.has(id) ? view.off.delete(id) : view.off.add(id);
        button.setAttribute("aria-pressed", String(!view.off.has(id)));
        look();
      });
      return make("li", {}, button);
    }),
  );
}

function look() {
  const { map, number, off } = view;
  const lit = view.lit ?? (off.has(view.here) ? null : view.here);
  const ticked = Object.fromEntries([...$("#boxes").elements].filter((one) => one.name).map((one) => [one.name, one.checked]));
  paint($("canvas", fit), map, { opacity: $("#opacity").value / 100, off, lit });
  drawBoxes(fit, number, ticked, map);
  const { truth, width, height } = page.images[number];
  $(".tags", fit).replaceChildren(
    ...(ticked.truth && truth ? truth.boxes : []).map(([x1, y1], i) => {
      const tag = make("span", {}, truth.classes[i]);
      tag.style.left = `${(100 * Math.max(0, x1)) / width}%`;
      tag.style.top = `${(100 * Math.max(0, y1)) / height}%`;
      return tag;
    }),
  );
  fit.setAttribute("aria-label", `${spoken(number, view.variant)}; ${map.shares.length} clusters`);
}

async function strip(maps) {
  if (!several) return;
  const aspect = page.images[view.number].width / page.images[view.number].height;
  view.small = await Promise.all(maps.map((map) => map && decoded(map, 150)));
  $("#strip").replaceChildren(
    ...view.small.map((small, variant) => {
      const cross = make("div", { class: "cross", hidden: "" });
      const label = page.variants[variant].label;
      const frame = make("div", { class: "fit" }, make("canvas"), cross);
      frame.style.setProperty("--ar", aspect);
      const button = make("button", { type: "button", class: "mini", "aria-label": `Show ${label}` }, frame, label.replace(/K (?=\S+$)/, "K\u00a0"), make("span", { class: "there" }));
      if (small) button.addEventListener("click", () => choose(variant));
      else button.disabled = true;
      return button;
    }),
  );
}

// the pixel at `at` (x and y in 0 to 1) in every map
function mark(at) {
  view.at = at;
  const place = (cross) => {
    cross.hidden = !at;
    if (at) Object.assign(cross.style, { left: `${at[0] * 100}%`, top: `${at[1] * 100}%` });
  };
  place($(".cross", fit));
  const here = at && view.map ? pixel(view.map, at) : null;
  [...$("#legend").children].forEach((item, id) => item.firstChild.classList.toggle("here", id === here));
  if (view.map && view.here !== here) (view.here = here), look();
  if (several) $("#pixel").textContent = at ? `x ${Math.floor(at[0] * page.images[view.number].width)}, y ${Math.floor(at[1] * page.images[view.number].height)}` : "point at the image";
  [...$("#strip").children].forEach((button, variant) => {
    const small = view.small[variant];
    button.setAttribute("aria-pressed", String(variant === view.variant));
    if (!small) return;
    const lit = at ? pixel(small, at) : null;
    paint($("canvas", button), small, { opacity: 1, lit });
    $(".there", button).textContent = lit === null ? "" : `cluster ${lit + 1}, ${Math.round(small.shares[lit] * 100)} %`;
    place($(".cross", button));
  });
}

const pixel = ({ ids, width, height }, [x, y]) => ids[Math.floor(y * height) * width + Math.floor(x * width)];
const inside = (value) => Math.min(0.9999, Math.max(0, value));

function pointed(event) {
  const { left, top, width, height } = fit.getBoundingClientRect();
  return [inside((event.clientX - left) / width), inside((event.clientY - top) / height)];
}

let waiting = false;
fit.addEventListener("pointermove", (event) => {
  if (view.pinned || waiting || event.target.className === "handle") return;
  waiting = true;
  const at = pointed(event);
  requestAnimationFrame(() => ((waiting = false), view.pinned || mark(at)));
});
fit.addEventListener("pointerleave", () => requestAnimationFrame(() => view.pinned || mark(null))); // a tap leaves, then clicks
fit.addEventListener("click", (event) => {
  if (event.target.className === "handle") return;
  const at = pointed(event);
  const near = view.pinned && Math.hypot((at[0] - view.at[0]) * fit.clientWidth, (at[1] - view.at[1]) * fit.clientHeight) < 20;
  view.pinned = event.pointerType === "touch" ? !near : !view.pinned; // a finger takes the mark away where it is
  mark(event.pointerType === "touch" && near ? null : at);
});

function split(percent) {
  $("#split").value = percent;
  fit.style.setProperty("--split", `${percent}%`);
}
const handle = $(".handle", fit);
handle.addEventListener("pointerdown", (event) => (handle.setPointerCapture(event.pointerId), event.preventDefault()));
handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && split(pointed(event)[0] * 100));
$("#split").addEventListener("input", ({ target }) => split(target.value));
$("#opacity").addEventListener("input", () => look());
$("#boxes").addEventListener("input", () => look());
$("#variant").addEventListener("change", ({ target }) => choose(Number(target.value)));
$("#close").addEventListener("click", () => viewer.close());
viewer.addEventListener("close", () => {
  history.replaceState(null, "", location.pathname + location.search);
  if (opener && opener.isConnected) opener.focus();
});

function step(by) {
  const order = listed.includes(view.number) ? listed : page.images.map((_, number) => number);
  const next = order[(order.indexOf(view.number) + by + order.length) % order.length];
  view.at = null;
  openViewer(next, view.variant);
}
for (const button of viewer.querySelectorAll("[data-step]")) button.addEventListener("click", () => step(Number(button.dataset.step)));

function nextMap(by) {
  let variant = view.variant;
  do variant = (variant + by + view.maps.length) % view.maps.length;
  while (!view.maps[variant]);
  choose(variant);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const TICKS = { c: "chosen", o: "components", i: "inner", t: "truth" };
viewer.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !view.map) return;
  const arrow = ARROWS[event.key];
  const busy = event.target.matches("input[type=range], select");
  if (arrow && busy) return;
  if (arrow && event.target === fit) {
    const [x, y] = view.at || [0.5, 0.5];
    const by = event.shiftKey ? 0.05 : 0.01;
    view.pinned = true;
    mark([inside(x + arrow[0] * by), inside(y + arrow[1] * by)]);
  } else if (arrow && arrow[0]) step(arrow[0]);
  else if (event.key === "[" || event.key === "]") nextMap(event.key === "]" ? 1 : -1);
  else if (event.key === "m") ($("#opacity").value = $("#opacity").value > 0 ? 0 : 50), look();
  else if (TICKS[event.key] && !busy) $("#boxes").elements[TICKS[event.key]].click();
  else return;
  event.preventDefault();
});

// --- the table sorts by any column ---------------------------------------------------------------------------------------
for (const button of document.querySelectorAll(".numbers th button"))
  button.addEventListener("click", () => {
    const head = button.parentElement;
    const column = [...head.parentElement.children].indexOf(head);
    const descending = head.getAttribute("aria-sort") !== "descending";
    const body = head.closest("table").tBodies[0];
    const value = (row) => row.cells[column].dataset.value;
    const sign = descending ? -1 : 1;
    const sorted = [...body.rows].sort((a, b) => sign * value(a).localeCompare(value(b), undefined, { numeric: true }));
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    body.append(...sorted);
  });

// --- light and dark --------------------------------------------------------------------------------------------------------
const themes = ["system", "light", "dark"];
$("#theme").addEventListener("click", () => {
  const label = $("#theme span");
  label.textContent = themes[(themes.indexOf(label.textContent) + 1) % 3];
  document.documentElement.dataset.theme = label.textContent;
});

// --- begin -----------------------------------------------------------------------------------------------------------------
for (const one of document.querySelectorAll('[data-for~="truth"]')) if (!hasTruth) one.matches("option") ? one.remove() : (one.hidden = true);
for (const one of document.querySelectorAll('[data-for="variants"]')) one.hidden = !several;
for (const one of document.querySelectorAll('[data-for~="images"]')) one.hidden ||= page.images.length < 2;
for (const select of [filters.elements.variant, $("#variant")]) select.append(...page.variants.map(({ label }, number) => option(number, label)));
filters.elements.class.append(...names.map((name) => option(name)));
split(0);
list();
end.observe($("#more"));
if (several) compareAgain();
if (page.diff) beginDiff();
const asked = new URLSearchParams(location.hash.slice(1));
if (page.images[asked.get("image")] && asked.has("map")) openViewer(Number(asked.get("image")), Number(asked.get("map")));
