/** The list of cameras: state, last error, a button that starts or stops. */

import { get, post } from "./api.js";
import { cameraState, isOn } from "./words.js";

const list = document.querySelector("#cameras");
const count = document.querySelector("#cameras-count");

/** @type {Map<string, HTMLElement>} rows by camera id, kept so that focus and hover survive an update */
const rows = new Map();

/**
 * @param {string} id
 * @param {boolean} mayOperate
 * @returns {HTMLElement}
 */
function makeRow(id, mayOperate) {
  const row = document.createElement("li");
  row.className = "camera";
  row.innerHTML = `<span class="camera-name"></span><span class="camera-state"></span>
    <button class="button" type="button"></button><p class="camera-error"></p>`;
  const button = row.querySelector("button");
  button.hidden = !mayOperate;
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      update(row, await post(`/cameras/${encodeURIComponent(id)}/${button.dataset.action}`));
    } catch (problem) {
      row.querySelector(".camera-error").textContent = problem.message;
    } finally {
      button.disabled = false;
    }
  });
  return row;
}

/**
 * @param {HTMLElement} row
 * @param {any} camera
 */
function update(row, camera) {
  // One that waits for its hours can be stopped, too.
  const on = isOn(camera.status) || Boolean(camera.inactive_reason);
  row.querySelector(".camera-name").textContent = camera.name || camera.id;
  const state = row.querySelector(".camera-state");
  state.textContent = cameraState(camera);
  state.dataset.state = camera.status;
  const button = row.querySelector("button");
  button.textContent = on ? "Stop" : "Start";
  button.dataset.action = on ? "stop" : "start";
  button.setAttribute("aria-label", `${button.textContent} ${camera.name || camera.id}`);
  row.querySelector(".camera-error").textContent = camera.inactive_reason ?? camera.last_error ?? "";
}

/**
 * Reads the cameras and brings the list up to date.
 * @param {boolean} mayOperate
 */
export async function refresh(mayOperate) {
  const { items, total } = await get("/cameras?page_size=500");
  const running = items.filter((camera) => camera.status === "running").length;
  count.textContent = total ? `${running} of ${total} running` : "";
  for (const id of [...rows.keys()]) {
    if (!items.some((camera) => camera.id === id)) {
      rows.get(id).remove();
      rows.delete(id);
    }
  }
  list.querySelector(".empty")?.remove();
  for (const camera of items) {
    if (!rows.has(camera.id)) {
      rows.set(camera.id, makeRow(camera.id, mayOperate));
      list.append(rows.get(camera.id));
    }
    update(rows.get(camera.id), camera);
  }
  if (items.length === 0) {
    const empty = document.createElement("li");
    empty.className = "empty";
    empty.textContent = "No camera yet. Add one with POST /api/cameras or in config.yaml under cameras.sources.";
    list.append(empty);
  }
}

/** Empties the list. */
export function clear() {
  rows.clear();
  list.replaceChildren();
}
