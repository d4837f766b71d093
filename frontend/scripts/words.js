/** How times, states and similarities are said. Pure: no DOM, no network. */

/** Similarity from which a recognition is called sure, and below which it is called unsure. */
const SURE = 0.55;
const LIKELY = 0.45;

/**
 * @param {number | null} similarity cosine similarity, null for a stranger
 * @returns {"sure" | "likely" | "unsure" | ""}
 */
export function certainty(similarity) {
  if (similarity === null || similarity === undefined) return "";
  if (similarity >= SURE) return "sure";
  return similarity >= LIKELY ? "likely" : "unsure";
}

/**
 * Local clock time, with the date when it is not today.
 * @param {Date} time
 * @param {Date} now
 * @param {string} [locale]
 * @returns {string}
 */
export function clock(time, now, locale = "en-GB") {
  const text = time.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  if (time.toDateString() === now.toDateString()) return text;
  return `${time.toLocaleDateString(locale, { day: "numeric", month: "short" })} ${text}`;
}

/**
 * How long ago, in the largest fitting unit.
 * @param {Date} time
 * @param {Date} now
 * @returns {string}
 */
export function ago(time, now) {
  const seconds = Math.max(0, Math.round((now.getTime() - time.getTime()) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/**
 * A camera's state in words, with its frame rate while it runs.
 * @param {{status: string, stats?: {fps?: number}}} camera
 * @returns {string}
 */
export function cameraState(camera) {
  if (camera.status !== "running") return camera.status;
  const fps = camera.stats?.fps ?? 0;
  return fps > 0 ? `running, ${Math.round(fps)} frames/s` : "running";
}

/**
 * Up to two initials of a name.
 * @param {string} name
 * @returns {string}
 */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const picked = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return picked.map((word) => [...word][0].toUpperCase()).join("");
}

/**
 * Whether a camera can be stopped rather than started.
 * @param {string} status
 * @returns {boolean}
 */
export const isOn = (status) => ["starting", "running", "reconnecting"].includes(status);
