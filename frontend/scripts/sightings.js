/** People as they are seen, newest first. */

import { get, getBlob } from "./api.js";
import { ago, certainty, clock, initials } from "./words.js";

const SHOWN = 50;
const list = document.querySelector("#sightings");

/** @type {Map<string, {row: HTMLElement, time: Date}>} shown sightings by detection id */
const shown = new Map();
let filled = false;

/**
 * @param {any} detection
 * @returns {HTMLElement}
 */
function makeRow(detection) {
  const known = detection.person_name !== null;
  const name = detection.person_name ?? "Unknown";
  const row = document.createElement("li");
  row.className = "sighting";
  row.dataset.known = known ? "yes" : "no";
  row.innerHTML = `<span class="sighting-face"></span><span><span class="sighting-name"></span><br>
    <span class="sighting-camera"></span> <span class="sighting-certainty"></span></span>
    <time class="sighting-when"></time>`;
  row.querySelector(".sighting-face").textContent = known ? initials(name) : "?";
  row.querySelector(".sighting-name").textContent = name;
  row.querySelector(".sighting-camera").textContent = detection.camera_id;
  const sureness = row.querySelector(".sighting-certainty");
  sureness.textContent = certainty(detection.similarity);
  sureness.dataset.certainty = sureness.textContent;
  if (known) sureness.title = `similarity ${detection.similarity.toFixed(2)}`;
  const when = row.querySelector("time");
  when.dateTime = detection.timestamp;
  if (detection.snapshot_url) showFace(row, detection.snapshot_url, name);
  return row;
}

/**
 * Puts the snapshot in place of the initials; the picture needs the token, so it is fetched rather than linked.
 * @param {HTMLElement} row
 * @param {string} url
 * @param {string} name
 */
async function showFace(row, url, name) {
  try {
    const blob = await getBlob(url.replace(/^\/api/, ""));
    const picture = document.createElement("img");
    picture.className = "sighting-face";
    picture.alt = name;
    picture.src = URL.createObjectURL(blob);
    picture.addEventListener("load", () => URL.revokeObjectURL(picture.src), { once: true });
    row.querySelector(".sighting-face").replaceWith(picture);
  } catch {
    // The initials stay: the picture may have been erased meanwhile.
  }
}

/** Times grow older without news from the server. */
function updateTimes() {
  const now = new Date();
  for (const { row, time } of shown.values()) {
    const when = row.querySelector("time");
    const recent = now.getTime() - time.getTime() < 3_600_000;
    when.textContent = recent ? clock(time, now) : ago(time, now);
    when.title = recent ? ago(time, now) : time.toLocaleString();
  }
}

/** Reads the latest sightings and puts the new ones on top. */
export async function refresh() {
  const { items } = await get(`/detections?page_size=${SHOWN}`);
  const seen = items.filter((detection) => detection.kind === "recognized" || detection.kind === "unknown");
  for (const detection of seen.reverse()) {
    if (shown.has(detection.id)) continue;
    const row = makeRow(detection);
    if (filled) row.classList.add("sighting-new");
    shown.set(detection.id, { row, time: new Date(detection.timestamp) });
    list.prepend(row);
  }
  for (const [id, { row }] of [...shown].slice(0, Math.max(0, shown.size - SHOWN))) {
    row.remove();
    shown.delete(id);
  }
  filled = true;
  list.querySelector(".empty")?.remove();
  if (shown.size === 0) {
    const empty = document.createElement("li");
    empty.className = "empty";
    empty.textContent = "Nobody seen yet. Start a camera: people appear here as they are recognised.";
    list.append(empty);
  }
  updateTimes();
}

/** Empties the list. */
export function clear() {
  shown.clear();
  filled = false;
  list.replaceChildren();
}
