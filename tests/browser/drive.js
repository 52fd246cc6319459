// Opens the page of `kerastl try` and says as JSON what it showed and what it asked for.
// Usage: node drive.js URL OPTIONS.json, with browser, profile, screenshot, pictures (paths) and
// camera: an .mjpeg file that plays the camera, or null where the camera is refused. With
// broken: true it drops the first picture only, and says what the page complains of.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { chromium } from "playwright-core";

const [url, file] = process.argv.slice(2);
const options = JSON.parse(readFileSync(file));
const film = [
  "--use-fake-ui-for-media-stream", `--use-file-for-fake-video-capture=${options.camera}`,
];
const browser = await chromium.launchPersistentContext(options.profile, {
  executablePath: options.browser,
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", ...(options.camera ? film : []),
  ],
});
const requests = [];
browser.on("request", (request) => requests.push(request.url()));
const page = await browser.newPage();
const problems = [];
page.on("pageerror", (error) => problems.push(String(error)));
await page.goto(url);
await page.waitForSelector("body[data-ready=true]", { timeout: 60000 });

const answers = () =>
  page.evaluate(() => [...document.querySelectorAll(".answer .name")].map((e) => e.textContent));

async function shown() {
  await page.waitForFunction(() => window.kerastlScores, null, { timeout: 30000 });
  const found = await page.evaluate(() => {
    const canvas = document.getElementById("used");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return { ...window.kerastlScores, pixels: [...data].filter((_, i) => i % 4 !== 3) };
  });
  return { ...found, answers: await answers() };
}

async function drop(name, type, bytes) {
  await page.evaluate(([name, type, bytes]) => {
    window.kerastlScores = null;
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], name, { type }));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, cancelable: true }));
  }, [name, type, [...bytes]]);
}

async function complaint() {
  await page.waitForSelector("#error:not([hidden])");
  return page.textContent("#error");
}

if (options.broken) {
  await drop("picture.png", "image/png", readFileSync(options.pictures[0]));
  console.log(JSON.stringify({ complaint: await complaint() }));
  await browser.close();
  process.exit();
}

const dropped = {};
for (const picture of options.pictures) {
  const type = picture.endsWith(".jpg") ? "image/jpeg" : "image/png";
  await drop(basename(picture), type, readFileSync(picture));
  dropped[basename(picture)] = await shown();
}
await page.screenshot({ path: options.screenshot, fullPage: true });

const sliders = [];
for (const slider of await page.locator("input[type=range]").all()) {
  const before = await slider.inputValue(), at = { label: await slider.getAttribute("aria-label") };
  for (const value of ["0", "1"]) {
    await slider.fill(value);
    at[value] = await answers();
  }
  await slider.fill(before);
  sliders.push(at);
}

await drop("words.txt", "text/plain", Buffer.from("no picture"));
const odd = await complaint();
await page.evaluate(() => { window.kerastlScores = null; });
await page.click("#camera");
const filmed = options.camera ? await shown() : await complaint();
const [runtime, hint] = [await page.textContent("#runtime"), await page.textContent(".hint")];
await page.setViewportSize({ width: 390, height: 844 });
await page.screenshot({ path: options.screenshot.replace(".png", "_phone.png"), fullPage: true });
await browser.close();
console.log(JSON.stringify(
  { dropped, sliders, odd, filmed, runtime, hint, requests, problems },
));
