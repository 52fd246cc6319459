// The page of `kerastl try`: a picture or the camera in, the scores of the exported file out.

const at = (id) => document.getElementById(id);
const WASM = "/litert/core/wasm/";
const RUNS = 20; // the latency is the median of so many
const state = { about: null, model: null, scores: null, times: [], stream: null, turn: 0 };

function complain(sentence) {
  at("error").textContent = sentence;
  at("error").hidden = !sentence;
}

function element(tag, className, parent, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  parent.append(made);
  return made;
}

// Weights of the bilinear filter, widened where the picture shrinks (antialias).
function filterOf(from, to) {
  const scale = from / to, reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach));
    const last = Math.min(from, Math.ceil(centre + reach));
    const weights = [];
    for (let j = first; j < last; j++)
      weights.push(Math.max(0, 1 - Math.abs(j + 0.5 - centre) / reach));
    const sum = weights.reduce((a, b) => a + b);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

// As Pillow does it, which kerastl reads files with: the width first, rounded, then the height.
function stretch({ data, width, height }, toWidth, toHeight) {
  const across = filterOf(width, toWidth), down = filterOf(height, toHeight);
  const rows = new Uint8ClampedArray(height * toWidth * 3), line = toWidth * 3;
  for (let y = 0; y < height; y++)
    across.forEach(({ first, weights }, x) => {
      for (let c = 0; c < 3; c++)
        rows[y * line + x * 3 + c] =
          weights.reduce((sum, w, k) => sum + w * data[(y * width + first + k) * 4 + c], 0);
    });
  const whole = new Uint8ClampedArray(toHeight * line);
  down.forEach(({ first, weights }, y) => {
    for (let x = 0; x < line; x++)
      whole[y * line + x] = weights.reduce((sum, w, k) => sum + w * rows[(first + k) * line + x], 0);
  });
  return new Uint8Array(whole.buffer);
}

function pixelsOf(source, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // what is transparent is white, as in training
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0);
  const { input } = state.about, whole = context.getImageData(0, 0, width, height);
  if (width !== input.width || height !== input.height)
    return stretch(whole, input.width, input.height);
  return Uint8Array.from({ length: width * height * 3 }, (_, i) =>
    whole.data[Math.floor(i / 3) * 4 + (i % 3)]);
}

function show(pixels) {
  const { width, height } = state.about.input, canvas = at("used");
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  image.data.forEach((_, i) => { image.data[i] = i % 4 === 3 ? 255 : pixels[(i >> 2) * 3 + (i % 4)]; });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

async function runHere(pixels) {
  const { Tensor, compiled } = state.model, { width, height, dtype } = state.about.input;
  const values = dtype === "float32" ? Float32Array.from(pixels) : pixels;
  const tensor = new Tensor(values, [1, height, width, 3]);
  const start = performance.now();
  const outputs = await compiled.run({ [compiled.getInputDetails()[0].name]: tensor });
  const scores = {};
  for (const { name, output, scale, zero_point: zero } of state.about.tasks)
    scores[name] = Array.from(await outputs[output].data(), (v) => scale ? (v - zero) * scale : v);
  const milliseconds = performance.now() - start;
  tensor.delete();
  Object.values(outputs).forEach((output) => output.delete());
  return { scores, milliseconds };
}

async function runBehind(pixels) {
  const answer = await fetch("/scores", { method: "POST", body: pixels });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

async function look(source, width, height) {
  const pixels = pixelsOf(source, width, height), turn = state.turn;
  const { scores, milliseconds } = await (state.model ? runHere : runBehind)(pixels);
  if (turn !== state.turn) return; // another picture was chosen meanwhile
  for (const [name, values] of Object.entries(scores))
    if (!values.every(Number.isFinite)) {
      complain(`The model gave no number for ${name}: the file is damaged or was converted wrongly.`);
      return;
    }
  state.times = [...state.times, milliseconds].slice(-RUNS);
  state.scores = scores;
  show(pixels);
  paint();
  window.kerastlScores = { scores, runtime: document.body.dataset.runtime };
}

function answers(task, scores) {
  const limit = (i) => task.thresholds[i] ?? task.thresholds.at(-1) ?? 0.5;
  if (task.kind === "multilabel") return scores.map((s, i) => s >= limit(i));
  if (task.kind === "binary") {
    const yes = scores.at(-1) >= limit(0);
    return [!yes, yes];
  }
  const best = scores.indexOf(Math.max(...scores));
  return scores.map((_, i) => i === best);
}

function paint() {
  const sorted = [...state.times].sort((a, b) => a - b);
  const middle = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
  const { length } = sorted;
  at("latency").textContent =
    `${middle.toFixed(1)} ms a picture (median of ${length} run${length === 1 ? "" : "s"})`;
  for (const task of state.about.tasks) {
    const scores = state.scores[task.name];
    // A binary task may have the score of its second class only.
    const each = scores.length < task.classes.length ? [1 - scores[0], scores[0]] : scores;
    const given = answers(task, scores);
    each.forEach((score, i) => {
      task.rows[i].row.classList.toggle("answer", given[i]);
      task.rows[i].row.setAttribute("aria-label", `${task.classes[i]}${given[i] ? ", the answer" : ""}`);
      task.rows[i].value.textContent = score.toFixed(3);
      task.rows[i].bar.style.width = `${100 * score}%`;
    });
  }
}

function slider(task, index, row, name) {
  const label = element("label", "slider", row, "Threshold");
  const input = element("input", "", label);
  Object.assign(input, { type: "range", min: 0, max: 1, step: 0.01 });
  input.value = task.thresholds[index] ??= 0.5;
  input.setAttribute("aria-label", `Threshold of ${name}`);
  const told = element("span", "value", label, task.thresholds[index].toFixed(2));
  input.addEventListener("input", () => {
    task.thresholds[index] = Number(input.value);
    told.textContent = task.thresholds[index].toFixed(2);
    if (state.scores) paint();
  });
}

function build() {
  for (const task of state.about.tasks) {
    const box = element("div", "task", at("tasks"));
    element("h2", "", box, task.name);
    element("p", "kind", box, task.kind);
    task.rows = task.classes.map((name, i) => {
      const row = element("div", "row", box);
      row.setAttribute("role", "group");
      element("span", "name", row, name);
      const value = element("span", "value", row, "");
      const bar = element("div", "bar", element("div", "track", row));
      if (task.kind === "multilabel") slider(task, i, row, name);
      if (task.kind === "binary" && i === 1) slider(task, 0, row, name);
      return { row, value, bar };
    });
  }
}

function fresh() {
  state.turn += 1;
  state.times = [];
  complain("");
  state.stream?.getTracks().forEach((track) => track.stop());
  state.stream = null;
  at("video").hidden = at("shown").hidden = true;
  at("camera").textContent = "Start camera";
}

async function takePicture(file) {
  fresh();
  const { turn } = state;
  let bitmap;
  try {
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
    bitmap = await createImageBitmap(file, options);
  } catch {
    complain(`${file.name} is not a picture that this browser can read.`);
    return;
  }
  if (turn !== state.turn) return;
  URL.revokeObjectURL(at("shown").src);
  at("shown").src = URL.createObjectURL(file);
  at("shown").hidden = false;
  try {
    await look(bitmap, bitmap.width, bitmap.height);
  } catch (error) {
    complain(`The model could not be run: ${error.message}`);
  }
}

async function watch(turn) {
  const video = at("video");
  while (turn === state.turn) {
    await new Promise(requestAnimationFrame);
    if (video.videoWidth && turn === state.turn)
      await look(video, video.videoWidth, video.videoHeight);
  }
}

async function toggleCamera() {
  const running = state.stream !== null;
  fresh();
  if (running) return;
  const { turn } = state;
  if (!navigator.mediaDevices) {
    complain("This browser gives a page the camera only over https or from localhost: choose a picture.");
    return;
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    if (turn !== state.turn) return stream.getTracks().forEach((track) => track.stop());
    state.stream = stream;
    at("video").srcObject = stream;
    at("video").hidden = false;
    await at("video").play();
    at("camera").textContent = "Stop camera";
  } catch (error) {
    complain(`The camera cannot be used (${error.name}): allow it for this page, or choose a picture.`);
    return;
  }
  watch(turn).catch((error) => complain(`The model could not be run: ${error.message}`));
}

async function loadRuntime() {
  if (state.about.runtime !== "browser") return "LiteRT.js is not here, or cannot run this file";
  try {
    const { loadLiteRt, loadAndCompile, Tensor } = await import("/litert/core/dist/index.js");
    await loadLiteRt(WASM);
    const compiled = await loadAndCompile(state.about.file, { accelerator: "wasm" });
    state.model = { Tensor, compiled };
    const { height, width } = state.about.input;
    await runHere(new Uint8Array(height * width * 3)); // what it cannot run shows here
    return "";
  } catch (error) {
    state.model = null;
    return `LiteRT.js failed (${error.message ?? error})`;
  }
}

function listen() {
  at("camera").addEventListener("click", toggleCamera);
  at("choose").addEventListener("change", ({ target }) => {
    if (target.files.length) takePicture(target.files[0]);
    target.value = "";
  });
  const over = (on) => document.body.classList.toggle("over", on);
  document.addEventListener("dragover", (event) => { event.preventDefault(); over(true); });
  document.addEventListener("dragleave", () => over(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    if (event.dataTransfer.files.length) takePicture(event.dataTransfer.files[0]);
  });
}

async function start() {
  state.about = await (await fetch("/about.json")).json();
  const { title, input } = state.about;
  document.title = at("title").textContent = title;
  build();
  const why = await loadRuntime();
  document.body.dataset.runtime = state.model ? "browser" : "interpreter";
  const where = why ? `the interpreter behind this page, because: ${why}` : "LiteRT.js in this browser";
  at("runtime").textContent = `${input.width} x ${input.height} ${input.dtype}. Run by ${where}.`;
  at("where").textContent = state.model
    ? "Pictures stay in this browser."
    : "Pictures go to the machine that serves this page, and are not kept.";
  listen();
  at("camera").disabled = at("choose").disabled = false;
  document.body.dataset.ready = "true";
}

start().catch((error) => complain(`The page could not be started: ${error.message}`));
