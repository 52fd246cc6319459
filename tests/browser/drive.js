// Opens the page of `kerastl try` and says as JSON what it showed and what it asked for.
// Usage: node drive.js URL PICTURE CAMERA.mjpeg PROFILE SCREENSHOT

import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [url, picture, camera, profile, screenshot] = process.argv.slice(2);
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    `--use-file-for-fake-video-capture=${camera}`,
  ],
});
const requests = [];
browser.on("request", (request) => requests.push(request.url()));
const page = await browser.newPage();
const problems = [];
page.on("pageerror", (error) => problems.push(String(error)));
await page.goto(url);
await page.waitForSelector("body[data-ready=true]", { timeout: 60000 });

async function shown() {
  await page.waitForFunction(() => window.kerastlScores, null, { timeout: 30000 });
  return page.evaluate(() => {
    const canvas = document.getElementById("used");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const answers = [...document.querySelectorAll(".answer .name")].map((e) => e.textContent);
    return { ...window.kerastlScores, answers, pixels: [...data].filter((_, i) => i % 4 !== 3) };
  });
}

async function drop(name, type, bytes) {
  await page.evaluate(([name, type, bytes]) => {
    window.kerastlScores = null;
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], name, { type }));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, cancelable: true }));
  }, [name, type, [...bytes]]);
}

await drop("picture.png", "image/png", readFileSync(picture));
const dropped = await shown();
await page.screenshot({ path: screenshot, fullPage: true });
await drop("words.txt", "text/plain", Buffer.from("no picture"));
await page.waitForSelector("#error:not([hidden])");
const error = await page.textContent("#error");
await page.evaluate(() => { window.kerastlScores = null; });
await page.click("#camera");
const filmed = await shown();
const runtime = await page.textContent("#runtime");
await page.setViewportSize({ width: 390, height: 844 });
await page.screenshot({ path: screenshot.replace(".png", "_phone.png"), fullPage: true });
await browser.close();
console.log(JSON.stringify({ dropped, filmed, error, runtime, requests, problems }));
